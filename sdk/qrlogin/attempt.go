package qrlogin

import (
	"errors"
	"time"
	"unicode/utf8"
)

// State is where an attempt is. The last four are terminal: nothing leaves
// them.
type State string

// The states of an attempt.
const (
	Pending   State = "pending"   // the code is on the screen
	Scanned   State = "scanned"   // a phone has it and is asked
	Approved  State = "approved"  // the phone said yes; the browser has yet to come
	Consumed  State = "consumed"  // the browser is signed in
	Rejected  State = "rejected"  // the phone said no, or too many people scanned
	Cancelled State = "cancelled" // the page was closed or wants another code
	Expired   State = "expired"   // time is up
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

// reasonManyScans is why an attempt was rejected that several people scanned.
const reasonManyScans = "multi_scan"

// maxOthers is how many other accounts may try to scan a code before it dies:
// a code that several people hold was not on one person's screen.
const maxOthers = 2

// Browser is what is known of the browser that wants to sign in; it is shown
// to the person who decides. All of it is hearsay but IP.
type Browser struct {
	Name string `json:"browser"` // "Chrome"
	OS   string `json:"os"`      // "Windows"
	IP   string `json:"ip"`
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
}

// masked is the first letter of the name and no more: all that the screen may
// show before the person has agreed.
func (u User) masked() Profile {
	r, _ := utf8.DecodeRuneInString(u.Name)
	if r == utf8.RuneError {
		return Profile{Initial: "?", Name: "•••"}
	}
	return Profile{Initial: string(r), Name: string(r) + "•••"}
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
	Rev      uint64 // the store's: what a compare-and-set compares
	Seq      uint64 // counts what the page and the phone can see change
	State    State
	Reason   string // why it was rejected, where the person did not do it
	Created  time.Time
	Deadline time.Time // when State ends by itself
	PendEnds time.Time // when a pending attempt ends, whatever its tickets

	Ticket, Previous Ticket
	Rotations        int

	Channel, PhoneChannel string
	Secret                Hash   // the browser's cookie
	Challenge             string // PKCE S256
	Browser               Browser

	UserID, UserName string // who scanned
	Phone            Hash   // the phone's session
	PhoneIs          Browser
	Nonce            Hash
	Others           []Hash // other accounts that tried to scan
}

// Until is when a store may forget the attempt: some time after its end, so
// that page and phone can still ask how it ended.
func (a Attempt) Until() time.Time { return a.Deadline.Add(keepEnded) }

const keepEnded = 60 * time.Second
