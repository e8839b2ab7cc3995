package qrlogin

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSteps drives one attempt by random people at random times, several of
// them with an old copy as in a race, against a compare-and-set. It never
// leaves a terminal state, never signs in twice, and signs in only for the
// browser that began after a yes of the phone that scanned.
func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := Times{}.withDefaults()
		now := time.Unix(1_000_000, 0)
		verifiers := []string{newSecret(), newSecret()}
		secrets := []string{newSecret(), newSecret()}
		users := []User{{ID: "ada", Name: "Ada", Session: "1"}, {ID: "ada", Name: "Ada", Session: "2"}, {ID: "eve", Name: "Eve", Session: "3"}, {ID: "bob", Name: "Bob", Session: "4"}}
		tickets := []string{newID()}
		nonces := []string{newID()}
		stored := begin(Attempt{ID: newID(), Kind: ByPage, Secret: HashOf(secrets[0]), PKCE: pkce(verifiers[0])}, now, HashOf(tickets[0]), times)
		copies := []Attempt{stored}
		var w witness
		digits := HashOf("42")

		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Millisecond, 5 * time.Second, 29 * time.Second, 61 * time.Second, 121 * time.Second}).Draw(t, "later"))
			from := stored
			if rapid.IntRange(0, 3).Draw(t, "stale") == 0 {
				from = copies[rapid.IntRange(0, len(copies)-1).Draw(t, "copy")]
			}
			who := rapid.IntRange(0, len(users)+2).Draw(t, "who")
			u := users[max(0, who-3)]
			verb := rapid.SampledFrom([]string{"read", "rotate", "scan", "scan", "again", "approve", "approve", "approve", "ask digits", "ask digits", "type", "type", "type wrong", "withdraw", "refuse", "reject", "cancel", "expire", "consume", "consume"}).Draw(t, "verb")
			secret := rapid.IntRange(0, 1).Draw(t, "secret")
			verifier := rapid.IntRange(0, 1).Draw(t, "verifier")
			ticket := HashOf(rapid.SampledFrom(append(tickets, tickets[len(tickets)-1])).Draw(t, "ticket"))
			nonce := rapid.SampledFrom(append(nonces, nonces[len(nonces)-1])).Draw(t, "nonce")
			next, err := from, error(nil)
			switch verb {
			case "read":
				copies = append(copies, stored)
				continue
			case "rotate":
				tickets = append(tickets, newID())
				next, err = from.rotate(now, HashOf(tickets[len(tickets)-1]), times)
			case "scan":
				nonces = append(nonces, newID())
				next, err = from.scan(now, ticket, scanner{user: u, nonce: HashOf(nonces[len(nonces)-1])}, times)
			case "again":
				next = from.scannedAgain(now, u)
			case "approve", "reject", "ask digits", "refuse":
				v := map[string]verdict{"ask digits": {check: digits, digits: 2}, "refuse": {risk: Risk{Refuse: true}, check: digits}}[verb]
				next, err = from.decide(now, u, nonce, verb != "reject", v, times)
			case "type":
				next, err = from.typed(now, secrets[secret], verifiers[verifier], digits, times)
			case "type wrong":
				next, err = from.typed(now, secrets[secret], verifiers[verifier], HashOf("13"), times)
			case "withdraw":
				next, err = from.withdraw(now, u, nonce)
			case "cancel":
				next, err = from.cancel(now)
			case "expire":
				next, err = from.expire(now)
			case "consume":
				next, err = from.consume(now, secrets[secret], verifiers[verifier])
			}
			if err != nil && fmt.Sprint(next) != fmt.Sprint(from) {
				t.Fatalf("%s was refused and changed the attempt", verb)
			}
			if err != nil || next.Rev != stored.Rev || next.Seq == from.Seq && len(next.Others) == len(from.Others) {
				continue // refused, lost the compare-and-set, or nothing to do
			}
			if from.State.Terminal() {
				t.Fatalf("%s left %s for %s", verb, from.State, next.State)
			}
			if next.State != Expired && next.State != from.State && !now.Before(from.Deadline) {
				t.Fatalf("%s took %s to %s after its time", verb, from.State, next.State)
			}
			w.holds(t, verb, next, u, secret, verifier)
			next.Rev += "+"
			stored = next
			copies = append(copies, stored)
		}
	})
}

// witness remembers what happened to an attempt, and knows what may not.
type witness struct {
	scannedBy, saidYes *User
	sessions, wrong    int
	asked              bool // digits are asked for and were not given
}

func (w *witness) holds(t *rapid.T, verb string, next Attempt, u User, secret, verifier int) {
	t.Helper()
	switch {
	case verb == "scan":
		if w.scannedBy != nil {
			t.Fatal("two phones scanned")
		}
		w.scannedBy = &u
	case verb == "approve" || verb == "ask digits" || verb == "refuse":
		if w.scannedBy == nil || *w.scannedBy != u {
			t.Fatal("a phone approved that did not scan")
		}
		if verb == "refuse" && next.State != Rejected || verb == "ask digits" && next.State != Challenged {
			t.Fatalf("%s leads to %s", verb, next.State)
		}
		w.saidYes, w.asked = &u, verb == "ask digits"
	case verb == "type":
		if secret != 0 || verifier != 0 || !w.asked {
			t.Fatalf("digits were taken with secret %d, verifier %d", secret, verifier)
		}
		w.asked = false
	case verb == "type wrong":
		if w.wrong++; next.State == Approved || w.wrong > maxTries || (w.wrong == maxTries) != (next.State == Rejected) {
			t.Fatalf("wrong digits, the %d. time, lead to %s", w.wrong, next.State)
		}
	case verb == "consume":
		if w.sessions++; w.sessions > 1 || w.saidYes == nil || w.asked || secret != 0 || verifier != 0 || next.UserID != w.saidYes.ID {
			t.Fatalf("session %d, approved %v, secret %d, verifier %d", w.sessions, w.saidYes, secret, verifier)
		}
	}
}
