package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// deed is one thing that happened to an account.
type deed struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // see sdk/qrlogin's Action…, and passkey_added, password, …
	What   string    `json:"what"`   // the browser
	IP     string    `json:"ip"`
	Reason string    `json:"reason,omitempty"`
}

// activity remembers the last deeds of each account, for its user to read. In
// memory; the log has them all. Safe for concurrent use.
type activity struct {
	mu sync.Mutex
	m  map[string][]deed
}

const maxDeeds = 100

func newActivity() *activity { return &activity{m: map[string][]deed{}} }

func (a *activity) add(userID string, d deed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := append(a.m[userID], d)
	a.m[userID] = list[max(0, len(list)-maxDeeds):]
}

// of are the deeds of an account, newest first.
func (a *activity) of(userID string) []deed {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := slices.Clone(a.m[userID])
	slices.Reverse(out)
	return out
}

// audited notes what QR login did. What a second person did to an attempt is
// of interest to the first one too, and the other way round.
func (a *app) audited(_ context.Context, e qrlogin.Entry) {
	if e.User == "" || e.Action == qrlogin.ActionCreated {
		return
	}
	a.activity.add(e.User, deed{At: e.At, Action: e.Action, What: e.Browser.Label(), IP: e.IP, Reason: e.Reason})
	a.tell(e.User, "activity", session{})
}

// note notes what happened to an account besides.
func (a *app) note(userID, action, what, ip string) {
	a.activity.add(userID, deed{At: time.Now().UTC(), Action: action, What: what, IP: ip})
	a.tell(userID, "activity", session{})
}

// Words are the deed for people.
func (d deed) Words() string {
	words := map[string]string{
		qrlogin.ActionScanned: "Scanned the code of", qrlogin.ActionApproved: "Confirmed", qrlogin.ActionChallenged: "Confirmed, digits asked for",
		qrlogin.ActionSignedIn: "Signed in by QR code:", qrlogin.ActionRejected: "Stopped", qrlogin.ActionSecondScan: "Somebody else scanned the code of",
		qrlogin.ActionWrongCode: "Wrong digits typed on", qrlogin.ActionCancelled: "Page closed:", qrlogin.ActionExpired: "Time ran out for", qrlogin.ActionRefused: "A refused try on",
		"passkey_added": "Passkey added on", "passkey_removed": "Passkey removed on", "signed_in_here": "Signed in:", "ended": "Ended", "asked": "Asked to sign in:",
	}
	if w := words[d.Action]; w != "" {
		return w
	}
	return d.Action
}

// Ago is when that was, in words.
func (d deed) Ago() string { return ago(time.Since(d.At)) }
