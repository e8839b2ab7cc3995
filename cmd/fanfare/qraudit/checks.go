package qraudit

// checks are all checks, in the order in which they are done: what uses up
// rates comes last.
func checks() []check {
	return []check{
		{"deploy-https", "Only over TLS", "M15", "the protocol, the certificate, and the same address over plain http", "Serve the site by https alone, with a certificate that is renewed in time, and send plain http there.", nothing, checkHTTPS},
		{"deploy-hsts", "Browsers keep to TLS", "M15", "Strict-Transport-Security on the login page", "Send Strict-Transport-Security: max-age=31536000 in your proxy or your app.", nothing, checkHSTS},
		{"deploy-clock", "The clock is right", "T-11", "the server's time, in its answers and in its headers", "Let the machine keep its time by NTP: codes and countdowns depend on it.", aBrowser, checkClock},
		{"deploy-csp", "Pages run no foreign script", "T-06 T-07", "Content-Security-Policy of each page", "Leave the library's header as it is; look for a proxy that changes it, and set one like it on your own pages.", nothing, checkCSP},
		{"deploy-framing", "Pages cannot be framed", "T-06", "frame-ancestors and X-Frame-Options of each page", "Leave the library's headers as they are, and call qrlogin.Harden on your own pages.", nothing, checkFraming},
		{"deploy-referrer", "Tickets do not leak by the referrer", "F6", "Referrer-Policy of each page", "Leave the library's header as it is, and call qrlogin.Harden on your own pages.", nothing, checkReferrer},
		{"deploy-cache", "Nothing is cached or guessed at", "F6", "Cache-Control and X-Content-Type-Options of pages and answers", "Keep caches away from /qr/ and /q/, or have them respect no-store.", nothing, checkCache},
		{"deploy-cors", "Other origins read nothing", "T-05", "CORS headers of answers to another origin", "Set no Access-Control headers on /qr/ and /q/.", nothing, checkCORS},
		{"deploy-cookie", "The browser's cookie is its own", "T-02", "name, flags and length of the attempt's cookie", "Give the library the site's https address as PublicURL, and let no proxy rewrite Set-Cookie.", aBrowser, checkCookie},
		{"F1-bound", "An attempt belongs to its browser", "F1 T-02", "reading, turning, ending and exchanging an attempt without its cookie, with another's, and without its verifier", "Update the library; never let a proxy or cache add cookies.", aBrowser, checkBound},
		{"F2-turning", "Codes turn and end", "F2 T-01", "a turned code's picture, and how long codes and attempts last", "Keep Times near their defaults: codes of a minute or less, attempts of a few minutes.", aBrowser, checkTurning},
		{"F4-chosen", "Clients choose no id", "F4 T-02", "an attempt for which the client names ticket, ids, channel and cookie", "Update the library; it ignores what clients propose.", aBrowser, checkChosen},
		{"F5-unsigned", "Who scans has to be signed in", "F5 T-17", "scan and decision without a session, with a made-up one, and with forged tokens", "PhoneUser has to check the session on the server; tokens are taken with EdDSA and your key only.", aBrowser, checkUnsigned},
		{"F6-leaks", "The code holds a ticket and nothing else", "F6 T-03", "the code's URL, and what answers and pages say", "Update the library; look for a proxy or template that adds to the code or to answers.", aBrowser, checkLeaks},
		{"T03-channels", "Only the browser hears its channel", "T-03", "the channel's token: what is in it, other channels, patterns, publishing, and listening without one", "Give the library a key whose tokens it makes itself, and no client more than it needs: see the app's rules.", aBrowser, checkChannels},
		{"T05-prefetch", "Looking changes nothing", "T-05", "GET and HEAD of the code's address, and GET of what has to be POST", "Update the library; let nothing in front turn GET into POST.", aBrowser, checkPrefetch},
		{"T05-cross-site", "Other sites cannot act", "T-05", "requests that say they come from another site, and forms in place of JSON", "Let a proxy pass Origin and Sec-Fetch-Site on, and put your own routes behind http.CrossOriginProtection.", aBrowser, checkCrossSite},
		{"T13-redirects", "No redirect leads away", "T-13", "addresses of other sites as return_to, next, redirect_uri and url of the pages", "Take only what qrlogin.LocalPath lets through as a place to go to.", nothing, checkRedirects},
		{"T15-same-answer", "Unknown, expired and foreign look alike", "T-15 T-14", "an id that is none, one of somebody else, one that is over, and one that is malformed", "Update the library; let no proxy answer for it.", aBrowser, checkSameAnswer},
		{"T16-asking", "Sign-in works without push", "T-16", "the attempt's state by plain HTTP, and a long wait for a change", "Let a proxy pass requests on that take 30 s, and do not buffer answers.", aBrowser, checkAsking},
		{"F3-random", "Ids cannot be guessed", "F3 T-08", "six attempts' ids, tickets, channels and cookies: repeats, fixed parts, length", "Update the library: each of them has 128 random bits or more.", aBrowser, checkRandom},
		{"T17-host-keys", "The host API wants its key", "T-17", "the host API without a key and with made-up ones", "Update the library; do not put keys into a proxy in front of it.", nothing, checkHostKeys},
		{"F2-reuse", "A code is good for one scan", "F2 T-11", "the same code twice, four scans at once, and a code that was turned twice", "Use one Store for all processes: NewChannels, or your own with a real compare-and-set.", aPhone, checkReuse},
		{"T01-digits", "A yes alone lets no new browser in", "T-01", "an approval for a browser that nobody knows, wrong digits, and the right ones too late", "Leave Policy at Adaptive, or Always; Never is for closed networks.", aPhone, checkDigits},
		{"T04-replay", "A decision counts once", "T-04", "a decision again, for another attempt, and after a no", "Update the library, and use one Store for all processes.", aPhone, checkReplay},
		{"T12-links", "A link is not a code", "T-12", "the code's address as a link of another site", "Let a proxy pass Sec-Fetch-Site and Referer on.", aPhone, checkLinks},
		{"T15-masked", "The screen shows no name before the yes", "T-15", "what the browser is told of who scanned", "Update the library: it shows one letter.", aPhone, checkMasked},
		{"T02-sign-in", "A sign-in is whole and happens once", "T-02 T-03 T-11", "one sign-in: another verifier, three exchanges at once, the new session's cookie, and all that was pushed meanwhile", "OnLogin has to make a new session each time, with an HttpOnly, Secure and SameSite cookie.", aPhone, checkSignIn},
		{"T18-second-account", "A second account is refused", "T-18", "a scan by another account", "Update the library, and use one Store for all processes.", twoPhones, checkSecond},
		{"T14-elsewhere", "Other sites' codes are unknown here", "T-14", "a code of the other site, scanned here", "Give each site its own Tenant, and keep Tenant and PublicURL apart.", elsewhere, checkElsewhere},
		{"T08-guesses", "Guessing is slowed down", "T-08", "tickets and typed codes that are none, until it is refused", "Leave Limits at their defaults, and ClientIP at the real address of the caller.", phoneRate, checkGuesses},
		{"T10-flood", "One address cannot take all", "T-10", "new attempts until it is refused", "Leave Limits at their defaults, and ClientIP at the real address of the caller.", rates, checkFlood},
	}
}
