package qrlogin

import (
	"slices"
	"time"
)

// Times are how long things last. The zero value of each means its default.
type Times struct {
	FirstTicket time.Duration // the first code; default 60 s
	NextTicket  time.Duration // each code after it; default 30 s
	Rotations   int           // how many codes after the first; default 4, then the page waits for a click
	Grace       time.Duration // how long a replaced code is still taken; default 10 s
	Decide      time.Duration // from scan to decision; default 120 s
	Challenge   time.Duration // to type the digits that the phone shows; default 90 s
	Exchange    time.Duration // from approval to sign-in; default 60 s
	Device      time.Duration // the code of a device (RFC 8628), which does not turn; default 600 s
}

func (t Times) withDefaults() Times {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.FirstTicket, 60*time.Second)
	set(&t.NextTicket, 30*time.Second)
	set(&t.Grace, 10*time.Second)
	set(&t.Decide, 120*time.Second)
	set(&t.Challenge, 90*time.Second)
	set(&t.Exchange, 60*time.Second)
	set(&t.Device, 600*time.Second)
	if t.Rotations <= 0 {
		t.Rotations = 4
	}
	return t
}

// pending is how long a code is on the screen in all.
func (t Times) pending() time.Duration {
	return t.FirstTicket + time.Duration(t.Rotations)*t.NextTicket
}

// longest is the longest life of a page's attempt from creation to its end.
func (t Times) longest() time.Duration {
	return t.pending() + t.Grace + t.Decide + t.Challenge + t.Exchange
}

// scanner is the phone that scans.
type scanner struct {
	user  User
	is    Browser
	nonce Hash
	found Signals
}

// maxTries is how often the digits may be typed.
const maxTries = 3

// at is the attempt as it is at now: expired when its time is up. All steps
// begin with it, so an attempt is over on time even where no timer ran.
func (a Attempt) at(now time.Time) Attempt {
	if a.State.Terminal() || now.Before(a.Deadline) {
		return a
	}
	return a.end(Expired, a.Deadline)
}

// end moves to a terminal state. Deadline is then when that was.
func (a Attempt) end(s State, now time.Time) Attempt {
	a.State, a.Deadline, a.Seq = s, now, a.Seq+1
	return a
}

// begin is a new attempt whose code is ticket.
func begin(a Attempt, now time.Time, ticket Hash, t Times) Attempt {
	a.State, a.Seq, a.Created = Pending, 1, now
	a.PendEnds = now.Add(t.pending())
	a.Ticket = t.ticket(ticket, now.Add(t.FirstTicket))
	switch {
	case a.Asked.ID != "": // there is no code to scan
		a.Ticket, a.PendEnds = Ticket{}, now.Add(t.Decide)
	case a.Kind == ByPlain: // nor does a page without scripts
		a.PendEnds = now.Add(t.FirstTicket + 2*t.NextTicket)
		a.Ticket, a.Rotations = Ticket{Hash: ticket, Ends: a.PendEnds, Dead: a.PendEnds}, t.Rotations
	case a.Kind == ByDevice: // a device does not turn its code
		a.PendEnds = now.Add(t.Device)
		a.Ticket, a.Rotations = Ticket{Hash: ticket, Ends: a.PendEnds, Dead: a.PendEnds}, t.Rotations
	}
	a.Deadline = a.PendEnds
	return a
}

func (t Times) ticket(h Hash, ends time.Time) Ticket {
	return Ticket{Hash: h, Ends: ends, Dead: ends.Add(t.Grace)}
}

// rotate replaces the code. The old one is taken for Grace more, because a
// phone may be looking at it right now.
func (a Attempt) rotate(now time.Time, ticket Hash, t Times) (Attempt, error) {
	b := a.at(now)
	if b.State != Pending || b.Rotations >= t.Rotations || b.Asked.ID != "" {
		return a, errState
	}
	b.Previous = b.Ticket
	if dead := now.Add(t.Grace); dead.Before(b.Previous.Dead) {
		b.Previous.Dead = dead
	}
	ends := now.Add(t.NextTicket)
	if b.Rotations++; b.Rotations == t.Rotations || ends.After(b.PendEnds) {
		ends = b.PendEnds
	}
	b.Ticket = t.ticket(ticket, ends)
	b.Seq++
	return b, nil
}

// takes reports whether the ticket h is one of the attempt's that still live,
// or its user code. An attempt that ended unused is as one that never was.
func (a Attempt) takes(h Hash, now time.Time) bool {
	if s := a.at(now).State; s == Expired || s == Cancelled {
		return false
	}
	if a.UserCode.Equal(h) && now.Before(a.PendEnds) {
		return true
	}
	for _, t := range []Ticket{a.Ticket, a.Previous} {
		if t.Hash.Equal(h) && now.Before(t.Dead) {
			return true
		}
	}
	return false
}

// scan gives the attempt to a phone; the first one wins. A code that was used
// is errState for everybody, the first phone included.
func (a Attempt) scan(now time.Time, h Hash, by scanner, t Times) (Attempt, error) {
	if !a.takes(h, now) {
		return a, errGone
	}
	return a.claim(now, by, t)
}

// answer gives an attempt without a code to a phone of the person whom the
// browser named.
func (a Attempt) answer(now time.Time, by scanner, t Times) (Attempt, error) {
	if a.Asked.ID == "" || a.Asked.ID != by.user.ID {
		return a, errGone
	}
	return a.claim(now, by, t)
}

func (a Attempt) claim(now time.Time, by scanner, t Times) (Attempt, error) {
	b := a.at(now)
	switch b.State {
	case Expired:
		return a, errGone
	case Pending:
	default:
		return a, errState
	}
	b.State, b.Deadline = Scanned, now.Add(t.Decide)
	b.UserID, b.UserName, b.Phone = by.user.ID, by.user.Name, HashOf(by.user.Session)
	b.PhoneIs, b.Nonce, b.ScannedAt, b.Found = by.is, by.nonce, now, by.found
	b.Seq++
	return b, nil
}

// scannedAgain notes that somebody else tried to scan. The result differs from
// a only for accounts that are new, so a flood of scans is few writes.
func (a Attempt) scannedAgain(now time.Time, by User) Attempt {
	b := a.at(now)
	who := HashOf(by.ID)
	if b.State != Scanned && b.State != Challenged && b.State != Approved || by.ID == b.UserID || slices.ContainsFunc(b.Others, who.Equal) {
		return a
	}
	b.Others = append(slices.Clone(b.Others), who)
	if len(b.Others) >= maxOthers {
		b = b.end(Rejected, now)
		b.Reason = reasonManyScans
	}
	return b
}

// servesUser reports whether people of u's kind sign in by the attempt: a host's users
// at that host, the site's own everywhere else.
func (a Attempt) servesUser(u User) bool {
	if a.Kind == ByHost {
		return u.host == a.Client
	}
	return u.host == ""
}

// heldBy reports whether u's phone is the one that scanned.
func (a Attempt) heldBy(u User) bool {
	return a.servesUser(u) && a.UserID != "" && a.UserID == u.ID && a.Phone.Is(u.Session)
}

// verdict is what the server makes of a yes.
type verdict struct {
	risk     Risk
	check    Hash // of the digits to be typed; zero: none are asked for
	digits   int
	verified bool // the phone verified its user for just this
	remember bool
}

// decide is the phone's yes or no. Only the phone that scanned may, with the
// nonce it was given, once.
func (a Attempt) decide(now time.Time, by User, nonce string, yes bool, v verdict, t Times) (Attempt, error) {
	if !a.heldBy(by) || !a.Nonce.Is(nonce) {
		return a, errForbidden
	}
	b := a.at(now)
	if b.State != Scanned {
		return a, errState
	}
	if !yes {
		return b.end(Rejected, now), nil
	}
	b.Risk, b.Verified, b.Remember, b.ApprovedAt = v.risk, v.verified, v.remember, now
	switch {
	case v.risk.Refuse:
		b = b.end(Rejected, now)
		b.Reason = reasonRisk
		return b, nil
	case v.check != Hash{}:
		b.State, b.Deadline = Challenged, now.Add(t.Challenge)
		b.Check, b.Digits, b.Tries = v.check, v.digits, maxTries
	default:
		b.State, b.Deadline = Approved, now.Add(t.Exchange)
	}
	b.Seq++
	return b, nil
}

// withdraw is the phone that takes its yes back while digits are asked for.
func (a Attempt) withdraw(now time.Time, by User, nonce string) (Attempt, error) {
	if !a.heldBy(by) || !a.Nonce.Is(nonce) {
		return a, errForbidden
	}
	b := a.at(now)
	if b.State != Challenged {
		return a, errState
	}
	return b.end(Rejected, now), nil
}

// typed is the browser's answer to the digits on the phone: a transfer, which
// shows that whoever sits there sees that phone. Wrong ones count.
func (a Attempt) typed(now time.Time, secret, verifier string, check Hash, t Times) (Attempt, error) {
	if !a.proves(secret, verifier) {
		return a, errForbidden
	}
	b := a.at(now)
	if b.State != Challenged {
		return a, errState
	}
	if b.Check.Equal(check) {
		b.State, b.Deadline, b.ApprovedAt = Approved, now.Add(t.Exchange), now
		b.Seq++
		return b, nil
	}
	if b.Tries--; b.Tries <= 0 {
		b = b.end(Rejected, now)
		b.Reason = reasonWrongCode
		return b, nil
	}
	b.Seq++
	return b, nil
}

// proves reports whether secret and verifier are those of who began.
func (a Attempt) proves(secret, verifier string) bool {
	if !a.Secret.Is(secret) {
		return false
	}
	if a.PKCE == "" {
		return a.Kind != ByPage
	}
	return verifies(verifier, a.PKCE)
}

// cancel is the browser going away, at any time before the end.
func (a Attempt) cancel(now time.Time) (Attempt, error) {
	b := a.at(now)
	if b.State.Terminal() {
		return a, errState
	}
	return b.end(Cancelled, now), nil
}

// expire is the end by time. It is errState while there is time left.
func (a Attempt) expire(now time.Time) (Attempt, error) {
	b := a.at(now)
	if a.State.Terminal() || b.State != Expired {
		return a, errState
	}
	return b, nil
}

// consume turns the approval into the one sign-in, for the browser that has
// both the cookie and the login code.
func (a Attempt) consume(now time.Time, secret, verifier string) (Attempt, error) {
	if !a.proves(secret, verifier) {
		return a, errForbidden
	}
	b := a.at(now)
	if b.State != Approved {
		return a, errState
	}
	return b.end(Consumed, now), nil
}
