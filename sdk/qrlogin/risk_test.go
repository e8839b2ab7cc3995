package qrlogin

import (
	"net/netip"
	"slices"
	"testing"
)

func TestRisk(t *testing.T) {
	quiet := Signals{Distance: -1}
	with := func(change func(*Signals)) Signals { s := quiet; change(&s); return s }
	for name, c := range map[string]struct {
		s         Signals
		p         Policy
		score     int
		challenge bool
		refuse    bool
		reasons   []string
	}{
		"a known browser at home":     {s: quiet},
		"the same, always":            {s: quiet, p: Always, challenge: true},
		"another network alone":       {s: with(func(s *Signals) { s.OtherNetwork = true }), score: 1, reasons: []string{"network_mismatch"}},
		"a new browser":               {s: with(func(s *Signals) { s.NewBrowser = true }), score: 2, challenge: true, reasons: []string{"new_browser"}},
		"a new browser, never":        {s: with(func(s *Signals) { s.NewBrowser = true }), p: Never, score: 2, reasons: []string{"new_browser"}},
		"a link, never":               {s: with(func(s *Signals) { s.Linked = true }), p: Never, score: 2, challenge: true, reasons: []string{"linked"}},
		"301 km away":                 {s: with(func(s *Signals) { s.Distance = 301 }), score: 2, challenge: true, reasons: []string{"far_away"}},
		"299 km away":                 {s: with(func(s *Signals) { s.Distance = 299 })},
		"another country":             {s: with(func(s *Signals) { s.OtherCountry = true }), score: 2, challenge: true, reasons: []string{"far_away"}},
		"far and another country":     {s: with(func(s *Signals) { s.OtherCountry, s.Distance = true, 9000 }), score: 2, challenge: true, reasons: []string{"far_away"}},
		"two others of the address":   {s: with(func(s *Signals) { s.Crowd = 2 })},
		"three others of the address": {s: with(func(s *Signals) { s.Crowd = 3 }), score: 3, challenge: true, reasons: []string{"high_usage"}},
		"hasty":                       {s: with(func(s *Signals) { s.Hasty = true }), score: 1, reasons: []string{"hasty"}},
		"no passkey":                  {s: with(func(s *Signals) { s.Unverified = true }), score: 1, reasons: []string{"not_verified"}},
		"typed on another network":    {s: with(func(s *Signals) { s.Typed, s.OtherNetwork = true, true }), score: 2, challenge: true, reasons: []string{"network_mismatch", "typed"}},
		"a traveller's new laptop":    {s: with(func(s *Signals) { s.NewBrowser, s.OtherNetwork, s.OtherCountry = true, true, true }), score: 5, challenge: true, reasons: []string{"new_browser", "network_mismatch", "far_away"}},
		"a relay":                     {s: with(func(s *Signals) { s.NewBrowser, s.OtherNetwork, s.OtherCountry, s.Automated = true, true, true, true }), score: 6, challenge: true, refuse: true, reasons: []string{"new_browser", "network_mismatch", "far_away", "automated"}},
		"a second scan and a link":    {s: with(func(s *Signals) { s.Others, s.Linked, s.NewBrowser = 1, true, true }), score: 6, challenge: true, refuse: true, reasons: []string{"new_browser", "linked", "second_scan"}},
	} {
		p := c.p
		if p == "" {
			p = Adaptive
		}
		r := Assess(c.s, p)
		if r.Score != c.score || r.Challenge != c.challenge || r.Refuse != c.refuse || !slices.Equal(r.Reasons, c.reasons) {
			t.Errorf("%s: %+v, want score %d, challenge %v, refuse %v, %v", name, r, c.score, c.challenge, c.refuse, c.reasons)
		}
	}
}

func TestPlaces(t *testing.T) {
	paris, lyon, nowhere := Place{Lat: 48.86, Lon: 2.35}, Place{Lat: 45.76, Lon: 4.84}, Place{Country: "FR"}
	if d := paris.distance(lyon); d < 385 || d > 400 {
		t.Errorf("Paris to Lyon: %.0f km", d)
	}
	if d := paris.distance(nowhere); d != -1 {
		t.Errorf("to a place that nobody knows: %v", d)
	}
	for _, c := range []struct {
		a, b   string
		pa, pb Place
		want   bool
	}{
		{"192.0.2.1", "192.0.2.200", Place{}, Place{}, true}, {"192.0.2.1", "192.0.3.1", Place{}, Place{}, false},
		{"192.0.2.1", "198.51.100.1", Place{Network: "AS1"}, Place{Network: "AS1"}, true}, {"192.0.2.1", "198.51.100.1", Place{Network: "AS1"}, Place{Network: "AS2"}, false},
		{"2001:db8:1:2::1", "2001:db8:1:9::1", Place{}, Place{}, true}, {"2001:db8:1::1", "2001:db8:2::1", Place{}, Place{}, false},
		{"::ffff:192.0.2.1", "192.0.2.7", Place{}, Place{}, true}, {"192.0.2.1", "2001:db8::1", Place{}, Place{}, false},
	} {
		if got := sameNetwork(netip.MustParseAddr(c.a), netip.MustParseAddr(c.b), c.pa, c.pb); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
	if sameNetwork(netip.Addr{}, netip.Addr{}, Place{}, Place{}) {
		t.Error("two that nobody knows are one network")
	}
}

func TestUserCodes(t *testing.T) {
	for typed, want := range map[string]string{
		"WDJB-MJHT": "WDJBMJHT", "wdjb mjht": "WDJBMJHT", " wdjbmjht ": "WDJBMJHT", "WDJB–MJHT": "WDJBMJHT", "W.D.J.B.M.J.H.T": "WDJBMJHT",
		"WDJB-MJH": "", "WDJB-MJHTT": "", "WDJA-MJHT": "", "": "", "12345678": "", "ＷDJBMJHT": "",
	} {
		if got := plainCode(typed); got != want {
			t.Errorf("%q is %q, want %q", typed, got, want)
		}
	}
	seen := map[rune]int{}
	for range 5000 {
		code := newUserCode()
		if plainCode(code) == "" || len(code) != 9 {
			t.Fatalf("made %q", code)
		}
		for _, r := range plainCode(code) {
			seen[r]++
		}
	}
	// 40,000 letters of 20: 2,000 each. Chi-square with 19 degrees is below 60 but once in a million.
	chi := 0.0
	for _, n := range seen {
		chi += float64(n-2000) * float64(n-2000) / 2000
	}
	if len(seen) != 20 || chi > 60 {
		t.Errorf("%d letters, chi-square %.1f: %v", len(seen), chi, seen)
	}
}
