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
	Exchange    time.Duration // from approval to sign-in; default 60 s
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
	set(&t.Exchange, 60*time.Second)
	if t.Rotations <= 0 {
		t.Rotations = 4
	}
	return t
}

// pending is how long a code is on the screen in all.
func (t Times) pending() time.Duration {
	return t.FirstTicket + time.Duration(t.Rotations)*t.NextTicket
}

// longest is the longest life of an attempt from creation to its end.
func (t Times) longest() time.Duration { return t.pending() + t.Grace + t.Decide + t.Exchange }

// scanner is the phone that scans.
type scanner struct {
	user  User
	is    Browser
	nonce Hash
}

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
	a.Deadline = a.PendEnds
	a.Ticket = t.ticket(ticket, now.Add(t.FirstTicket))
	return a
}

func (t Times) ticket(h Hash, ends time.Time) Ticket {
	return Ticket{Hash: h, Ends: ends, Dead: ends.Add(t.Grace)}
}

// rotate replaces the code. The old one is taken for Grace more, because a
// phone may be looking at it right now.
func (a Attempt) rotate(now time.Time, ticket Hash, t Times) (Attempt, error) {
	b := a.at(now)
	if b.State != Pending || b.Rotations >= t.Rotations {
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

// takes reports whether the ticket h is one of the attempt's that still live.
func (a Attempt) takes(h Hash, now time.Time) bool {
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
	b.PhoneIs, b.Nonce = by.is, by.nonce
	b.Seq++
	return b, nil
}

// scannedAgain notes that somebody else tried to scan. The result differs from
// a only for accounts that are new, so a flood of scans is few writes.
func (a Attempt) scannedAgain(now time.Time, by User) Attempt {
	b := a.at(now)
	who := HashOf(by.ID)
	if b.State != Scanned || by.ID == b.UserID || slices.ContainsFunc(b.Others, who.Equal) {
		return a
	}
	b.Others = append(slices.Clone(b.Others), who)
	if len(b.Others) >= maxOthers {
		b = b.end(Rejected, now)
		b.Reason = reasonManyScans
	}
	return b
}

// heldBy reports whether u's phone is the one that scanned.
func (a Attempt) heldBy(u User) bool {
	return a.UserID != "" && a.UserID == u.ID && a.Phone.Is(u.Session)
}

// decide is the phone's yes or no. Only the phone that scanned may, with the
// nonce it was given, once.
func (a Attempt) decide(now time.Time, by User, nonce string, yes bool, t Times) (Attempt, error) {
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
	b.State, b.Deadline = Approved, now.Add(t.Exchange)
	b.Seq++
	return b, nil
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
	if !a.Secret.Is(secret) || !verifies(verifier, a.Challenge) {
		return a, errForbidden
	}
	b := a.at(now)
	if b.State != Approved {
		return a, errState
	}
	return b.end(Consumed, now), nil
}
