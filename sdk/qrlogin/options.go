package qrlogin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Fanfare is what the library needs of a Fanfare client: *fanfare.Client with
// a secret key is one. Token must sign without asking anybody.
type Fanfare interface {
	Publish(ctx context.Context, channel string, data any, opts ...fanfare.PublishOption) (protocol.Published, error)
	Token(user string, g protocol.Grants, ttl time.Duration) (string, error)
}

// ErrNotSignedIn is what Options.PhoneUser answers for a stranger.
var ErrNotSignedIn = errors.New("qrlogin: nobody is signed in on this phone")

// Login is a browser that has been let in.
type Login struct {
	User     User    // who scanned and approved; its Session is empty
	Browser  Browser // the browser that is signed in now
	Phone    Browser // the phone that approved
	Attempt  string  // the attempt's id, for the audit log; not a secret
	Verified bool    // the phone verified its user (passkey) for just this sign-in
	Risk     Risk    // what spoke against it, and was overcome
}

// Ask is a remembered browser that asks its user without a code.
type Ask struct {
	User    User // without Session
	Browser Browser
	Path    string // where the user's phone answers, a path of this origin; no secret
}

// Options say how the library is mounted. Fanfare, PhoneUser, OnLogin and
// PublicURL are required.
type Options struct {
	// Fanfare pushes and signs channel tokens.
	Fanfare Fanfare
	// FanfareURL is where browsers reach Fanfare, "https://push.example.com";
	// "" is this very origin.
	FanfareURL string
	// SDKURL is fanfare.mjs for browsers; default "/sdk/fanfare.mjs". Where it
	// is missing, pages ask again and again instead of listening.
	SDKURL string

	// PhoneUser says who is signed in on this phone, or ErrNotSignedIn. Any
	// other error is answered 500.
	PhoneUser func(*http.Request) (User, error)
	// SignIn draws a sign-in form in place of the approve page for a phone
	// that is not signed in, and afterwards sends it to returnTo (a path of
	// this origin, never to be put into a URL or a log: it holds the ticket).
	// Without it the phone reads that it has to sign in first.
	SignIn func(w http.ResponseWriter, r *http.Request, returnTo string)
	// OnLogin signs the browser in: it makes a new session, sets its cookie on
	// w and drops any session that the request had. It is called at most once
	// for an attempt, and must not write a body. After an error the person has
	// to scan again.
	OnLogin func(w http.ResponseWriter, r *http.Request, l Login) error
	// AfterLogin is the path that the page goes to then; default "/".
	AfterLogin string
	// PasswordURL is a path to sign in without a phone; "" is none.
	PasswordURL string

	// PasskeyURL is the path below which the app signs in by passkey: POST
	// begin answers WebAuthn request options, POST finish takes the assertion
	// and answers {"next": path}. "" is none.
	PasskeyURL string

	// Confirm verifies the phone's user at each approval; nil does not. See
	// Confirmer.
	Confirm Confirmer
	// Policy says when the digits of the phone have to be typed in the browser;
	// default Adaptive.
	Policy Policy
	// Place says where an address is, for the person who decides and for the
	// risk; default nobody knows.
	Place func(netip.Addr) Place
	// Known remembers browsers; default in memory.
	Known KnownBrowsers
	// OnAsk tells the user's phones that a remembered browser asks to be let
	// in. Without it no browser can ask.
	OnAsk func(context.Context, Ask) error
	// Audit gets each step of each attempt, in the request's goroutine; the log
	// gets them too.
	Audit func(context.Context, Entry)

	// Devices lets things without a browser sign in (RFC 8628); nil does not.
	Devices *Devices
	// Hosts are backends that sign their own people in through the API under
	// /qr/host/; none by default.
	Hosts []Host

	// Tenant names this site in a store that several sites share; default
	// PublicURL's host. What one site keeps, another does not find.
	Tenant string
	// Pepper is the key that hides short codes in the store: 16 bytes or more,
	// the same for all processes that share one. Default is random.
	Pepper []byte

	// PublicURL is where phones reach this app, "https://id.example.com". It
	// stands in the QR code. Plain http is for trying out only.
	PublicURL string
	// KeepCase leaves the QR's URL in lower case, at the price of a bigger code.
	KeepCase bool
	// ShowLink puts the code's URL as a link below the code, for trying out on
	// one computer. Never in production: a link can be sent to a victim.
	ShowLink bool
	// Site is the name that people see; default is PublicURL's host.
	Site string

	// Store keeps the attempts; default NewMemory(0).
	Store Store
	// ClientIP is the caller's address; default is the connection's, which is
	// the proxy's if there is one. Never take X-Forwarded-For from strangers.
	ClientIP func(*http.Request) netip.Addr
	// Describe names the caller's browser and system; default is a guess from
	// User-Agent. IP is filled in by the library.
	Describe func(*http.Request) Browser
	Times    Times
	Limits   Limits
	// Logger gets what goes wrong, and one line for each sign-in; default
	// slog.Default. It never gets a secret.
	Logger *slog.Logger
}

// checked fills in the defaults and says what is missing.
func (o Options) checked() (Options, *url.URL, error) {
	missing := func(name string) (Options, *url.URL, error) {
		return o, nil, fmt.Errorf("qrlogin: Options.%s is required", name)
	}
	switch {
	case o.Fanfare == nil:
		return missing("Fanfare")
	case o.PhoneUser == nil:
		return missing("PhoneUser")
	case o.OnLogin == nil:
		return missing("OnLogin")
	}
	public, err := url.Parse(o.PublicURL)
	if err != nil || public.Host == "" || public.Scheme != "https" && public.Scheme != "http" || public.User != nil || public.RawQuery != "" || public.Fragment != "" {
		return o, nil, errors.New("qrlogin: Options.PublicURL has to be an http or https URL of this app, like https://id.example.com")
	}
	if o.AfterLogin == "" {
		o.AfterLogin = "/"
	}
	for _, p := range []string{o.AfterLogin, o.PasswordURL, o.PasskeyURL} {
		if p != "" && !LocalPath(p) {
			return o, nil, errors.New("qrlogin: AfterLogin, PasswordURL and PasskeyURL have to be paths of this origin, like /account")
		}
	}
	switch o.Policy {
	case "":
		o.Policy = Adaptive
	case Adaptive, Always, Never:
	default:
		return o, nil, errors.New("qrlogin: Options.Policy has to be Adaptive, Always or Never")
	}
	if len(o.Pepper) > 0 && len(o.Pepper) < 16 {
		return o, nil, errors.New("qrlogin: Options.Pepper has to have 16 bytes or more")
	}
	if err := errors.Join(checkHosts(o.Hosts), checkDevices(o.Devices)); err != nil {
		return o, nil, err
	}
	return o.defaults(public), public, nil
}

// defaults fills in what may be left out.
func (o Options) defaults(public *url.URL) Options {
	if o.Site == "" {
		o.Site = public.Hostname()
	}
	if o.SDKURL == "" {
		o.SDKURL = "/sdk/fanfare.mjs"
	}
	if o.Store == nil {
		o.Store = NewMemory(0)
	}
	if o.ClientIP == nil {
		o.ClientIP = connectionIP
	}
	if o.Describe == nil {
		o.Describe = describe
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Place == nil {
		o.Place = func(netip.Addr) Place { return Place{} }
	}
	if o.Known == nil {
		o.Known = newKnownMemory()
	}
	if o.Tenant == "" {
		o.Tenant = public.Host
	}
	if len(o.Pepper) == 0 {
		o.Pepper = []byte(newSecret())
	}
	o.Times, o.Limits = o.Times.withDefaults(), o.Limits.withDefaults()
	return o
}

// LocalPath reports whether p is a path of this origin to which a browser may
// be sent: nothing that any browser takes for another host.
func LocalPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") {
		return false
	}
	u, err := url.Parse(p)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil {
		return false
	}
	// Also what is left after a proxy unescaped it must not begin with two slashes.
	return !strings.HasPrefix(u.Path, "//") && !strings.ContainsAny(u.Path, "\\\r\n\t")
}
