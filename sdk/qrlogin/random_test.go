package qrlogin

import "testing"

// TestTicketsAreRandom makes many tickets: no two are the same, and each
// letter is as likely as the others.
func TestTicketsAreRandom(t *testing.T) {
	const n = 200_000
	seen := make(map[string]struct{}, n)
	var count [256]float64
	for range n {
		ticket := newID()
		if !isID(ticket) {
			t.Fatalf("%q is no ticket", ticket)
		}
		seen[ticket] = struct{}{}
		for i := range len(ticket) {
			count[ticket[i]]++
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d tickets are different", len(seen), n)
	}
	// 32 letters: chi-square with 31 degrees is below 80 but once in a million.
	want, chi := float64(n*26)/32, 0.0
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
		chi += (count[c] - want) * (count[c] - want) / want
	}
	if chi > 80 {
		t.Errorf("chi-square %.1f", chi)
	}
}
