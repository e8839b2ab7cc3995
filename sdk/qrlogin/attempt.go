package qrlogin

import (
	"errors"
	"time"
	"unicode"
)

// State is where an attempt is. The last four are terminal: nothing leaves
// them.
type State string

// The states of an attempt.
const (
	Pending    State = "pending"   // the code is on the screen
	Scanned    State = "scanned"   // a phone has it and is asked
	Challenged State = "challenge" // the phone said yes and shows digits, which the browser has to type
	Approved   State = "approved"  // all said yes; the browser has yet to come
	Consumed   State = "consumed"  // the browser is signed in
	Rejected   State = "rejected"  // the phone said no, or the attempt was found out
	Cancelled  State = "cancelled" // the page was closed or wants another code
	Expired    State = "expired"   // time is up
)

// Terminal reports whether nothing leaves the state.
func (s State) Terminal() bool {
	return s == Consumed || s == Rejected || s == Cancelled || s == Expired
}

// The refusals of the state machine. Doors turn them into 404, 403 and 409.
var (
	errGone      = errors.New("qrlogin: there is no such attempt or ticket, or it is over")
	errForbidden = errors.New("qrlogin: this proof is not for this attempt")
	errState     = errors.New("qrlogin: the attempt is past that step")
)

// Why an attempt was rejected where the person did not say no.
const (
	reasonManyScans = "multi_scan" // several people scanned
	reasonWrongCode = "wrong_code" // the digits were typed wrong too often
	reasonRisk      = "risk"       // too much spoke against it
)

// Kind is who began an attempt, and so what proves that somebody is them.
type Kind string

// The kinds of attempts.
const (
	ByPage   Kind = "page"   // cookie and PKCE verifier
	ByPlain  Kind = "plain"  // a page without scripts: cookie alone, the rest is made of it
	ByDevice Kind = "device" // the device code (RFC 8628); nothing else
	ByHost   Kind = "host"   // the host's API key and the attempt's secret
)

// maxOthers is how many other accounts may try to scan a code before it dies:
// a code that several people hold was not on one person's screen.
const maxOthers = 2

// Browser is what is known of the browser that wants to sign in; it is shown
// to the person who decides. All of it is hearsay but IP.
type Browser struct {
	Name  string `json:"browser"` // "Chrome"
	OS    string `json:"os"`      // "Windows"
	IP    string `json:"ip"`
	Place Place  `json:"place"`
}

// Label is the browser in words, "Chrome on Windows".
func (b Browser) Label() string {
	switch {
	case b.Name == "" && b.OS == "":
		return "Unknown browser"
	case b.OS == "":
		return b.Name
	case b.Name == "":
		return "A browser on " + b.OS
	}
	return b.Name + " on " + b.OS
}

// User is who is signed in on a phone. Session names the phone's session and
// has to be the same for its whole life; only its hash is kept.
type User struct {
	ID      string
	Name    string
	Session string

	host string // whose user this is, by Host.Name; "" is the site's own
}

// masked is the first letter of the name and no more: all that the screen may
// show before the person has agreed.
func (u User) masked() Profile {
	for _, r := range u.Name {
		if unicode.IsLetter(r) || unicode.IsNumber(r) { // no marks that turn or hide what stands beside them
			return Profile{Initial: string(r), Name: string(r) + "•••"}
		}
	}
	return Profile{Initial: "?", Name: "•••"}
}

// Profile is a person as a page may show one.
type Profile struct {
	Initial string `json:"initial"`
	Name    string `json:"name"`
}

// Ticket is a QR code's secret as the record keeps it.
type Ticket struct {
	Hash Hash
	Ends time.Time // when the page replaces it
	Dead time.Time // until when it is still taken
}

// Attempt is one try of one browser to sign in: a value without methods that
// change it. Each step takes one Attempt and returns the next, or an error and
// the same. A Store keeps it; Rev is the store's. It holds no secret in clear.
type Attempt struct {
	ID       string
	Tenant   string // the site; nothing of one site is seen by another
	Kind     Kind
	Client   string // "" is the site's own page; else who asked by API
	Scope    string // ByDevice: what was asked for
	Rev      string // the store's: what a compare-and-set compares
	Seq      uint64 // counts what the page and the phone can see change
	State    State
	Reason   string // why it was rejected, where the person did not do it
	Created  time.Time
	Deadline time.Time // when State ends by itself
	PendEnds time.Time // when a pending attempt ends, whatever its tickets

	Ticket, Previous Ticket
	UserCode         Hash // of the code that is typed where none is scanned
	Rotations        int

	Channel, PhoneChannel string
	Secret                Hash   // the browser's cookie, or the device code
	PKCE                  string // the S256 challenge; "" only where Kind has none
	Browser               Browser
	Headless              bool // the browser says that no person sits there
	BrowserKey            Hash // the cookie that makes a browser known again; zero is none
	Asked                 User // whom the browser named, without a code: only they may look

	UserID, UserName string // who scanned
	Phone            Hash   // the phone's session
	PhoneIs          Browser
	Nonce            Hash
	ScannedAt        time.Time
	Found            Signals // what spoke for and against it at the scan
	Others           []Hash  // other accounts that tried to scan

	ApprovedAt time.Time
	Verified   bool // the phone verified its user at the approval
	Remember   bool // the person wants the browser to be remembered
	Risk       Risk
	Check      Hash // of the digits that the phone shows
	Digits     int  // how many
	Tries      int  // how many are left
}

// Until is when a store may forget the attempt: some time after its end, so
// that page and phone can still ask how it ended.
func (a Attempt) Until() time.Time { return a.Deadline.Add(keepEnded) }

const keepEnded = 60 * time.Second

// Lookups are the hashes by which a store finds the attempt. While it is
// pending no two attempts may share one.
func (a Attempt) Lookups() (out []Hash) {
	for _, h := range []Hash{a.Ticket.Hash, a.Previous.Hash, a.UserCode} {
		if h != (Hash{}) {
			out = append(out, h)
		}
	}
	return out
}
