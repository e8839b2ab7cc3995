package qrlogin

import "time"

// Signals are what speaks against an attempt. They are gathered at the scan,
// some more at the decision.
type Signals struct {
	NewBrowser   bool    // this user was never signed in from it
	OtherNetwork bool    // than the phone's
	OtherCountry bool    // than the phone's
	Distance     float64 // km from the phone; -1 is not known
	Automated    bool    // begun from a data centre, or by a browser without a person
	Linked       bool    // the phone came by a link and not by its camera
	Typed        bool    // the code was typed, so somebody may have told it
	Crowd        int     // other users who scanned codes of the same address lately
	Others       int     // other accounts that scanned this very code
	Hasty        bool    // approved faster than anybody reads
	Unverified   bool    // the user has a passkey and did not use it
}

// Risk is what the signals come to.
type Risk struct {
	Score     int
	Reasons   []string // in words fit for a log and a screen's details
	Challenge bool     // the digits on the phone have to be typed in the browser
	Refuse    bool     // not even that
}

// Policy says when the phone's digits have to be typed.
type Policy string

// The policies. Where too much speaks against an attempt, both of the first
// refuse it.
const (
	Adaptive Policy = "adaptive" // when something speaks against the attempt: the default
	Always   Policy = "always"
	Never    Policy = "never" // for closed networks and tests only
)

// The scores from which on something happens, and what counts as what.
const (
	challengeAt = 2
	refuseAt    = 6
	manyDigits  = 4 // from this score on four digits, else two

	farAway   = 300 // km
	crowdFrom = 3
	hasty     = time.Second
)

// Assess weighs signals by a policy. It is a pure function.
func Assess(s Signals, p Policy) Risk {
	var r Risk
	add := func(is bool, score int, reason string) {
		if is {
			r.Score += score
			r.Reasons = append(r.Reasons, reason)
		}
	}
	add(s.NewBrowser, 2, "new_browser")
	add(s.OtherNetwork, 1, "network_mismatch")
	add(s.OtherCountry || s.Distance > farAway, 2, "far_away")
	add(s.Automated, 1, "automated")
	add(s.Linked, 2, "linked")
	add(s.Typed, 1, "typed")
	add(s.Others > 0, 2, "second_scan")
	add(s.Crowd >= crowdFrom, 3, "high_usage")
	add(s.Hasty, 1, "hasty")
	add(s.Unverified, 1, "not_verified")
	switch p {
	case Always:
		r.Challenge = true
	case Never:
		r.Challenge = s.Linked // a link is never a code on one's own screen
		return r
	default:
		r.Challenge = r.Score >= challengeAt
	}
	r.Refuse = r.Score >= refuseAt
	return r
}

// digits is how many the phone shows.
func (r Risk) digits() int {
	if r.Score >= manyDigits {
		return 4
	}
	return 2
}

// level is the risk in one word, for the phone's page.
func (r Risk) level() string {
	switch {
	case r.Score > challengeAt:
		return "high"
	case r.Score >= challengeAt:
		return "medium"
	}
	return "low"
}
