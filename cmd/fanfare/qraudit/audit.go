package qraudit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Verdict is what a check found.
type Verdict string

// The verdicts.
const (
	Pass     Verdict = "pass"
	Fail     Verdict = "fail"
	NotTried Verdict = "not_tried" // Detail says why
)

// Finding is one check and what became of it.
type Finding struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Against []string `json:"against"` // flaws and threats
	Tried   string   `json:"tried"`
	Verdict Verdict  `json:"verdict"`
	Detail  string   `json:"detail,omitempty"`
	Remedy  string   `json:"remedy,omitempty"` // of a failure
}

// Report is a whole audit.
type Report struct {
	URL      string    `json:"url"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`
	Requests int       `json:"requests"`
	OK       bool      `json:"ok"` // nothing failed
	Findings []Finding `json:"findings"`
}

// Count is how many findings have that verdict.
func (r Report) Count(v Verdict) (n int) {
	for _, f := range r.Findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// Options say what is audited, and how far.
type Options struct {
	URL string // of the site; a path names one more page to look at

	// Phone and Other are Cookie headers of two test accounts that are signed in
	// on the site. Without them what a phone does is not tried. Phone's account
	// is signed in once more, by a code.
	Phone, Other string
	// Elsewhere is another site of the same installation; "" is none.
	Elsewhere string
	// Limits also uses up the rates of this address, so that nobody can sign in
	// from it for a minute or two.
	Limits bool
	// Only are the ids of checks to do; none is all.
	Only []string

	Pace      time.Duration     // between requests; default 100 ms, less than 0 is none
	Transport http.RoundTripper // default http.DefaultTransport

	// OnStart and OnFinding, if any, hear of each check before and after it.
	OnStart   func(id, title string)
	OnFinding func(Finding)
}

// maxRequests bounds an audit; a whole one needs about half.
const maxRequests = 500

// ErrNotOurs is a URL without a QR login of ours.
var ErrNotOurs = errors.New("no QR login of Fanfare answers there")

// Run audits. The error is ErrNotOurs, one of Options, or ctx's; what is wrong
// with the deployment is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	p, err := newProbe(ctx, o)
	if err != nil {
		return Report{}, err
	}
	for _, id := range o.Only {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.id == id }) {
			return Report{}, fmt.Errorf("there is no check %q", id)
		}
	}
	report := Report{URL: p.base.String(), Began: time.Now().UTC(), OK: true}
	if err := p.reach(); err != nil {
		return Report{}, err
	}
	for _, c := range checks() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, c.id) {
			continue
		}
		if o.OnStart != nil {
			o.OnStart(c.id, c.title)
		}
		f := c.run(p)
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		report.OK = report.OK && f.Verdict != Fail
		report.Findings = append(report.Findings, f)
		if o.OnFinding != nil {
			o.OnFinding(f)
		}
	}
	report.Seconds, report.Requests = time.Since(report.Began).Seconds(), p.sent
	return report, nil
}

// need is what a check cannot do without.
type need int

const (
	nothing   need = iota
	aBrowser       // an attempt can be begun
	aPhone         // Options.Phone
	twoPhones      // and Options.Other
	elsewhere      // Options.Phone and Elsewhere
	rates          // Options.Limits
	phoneRate      // Options.Limits and Phone
)

// check is one thing to try.
type check struct {
	id, title string
	against   string // separated by blanks
	tried     string
	remedy    string
	needs     need
	do        func(*probe, *result)
}

// result is what a check notes while it goes: faults make it fail.
type result struct {
	faults []string
	skip   string
	detail string
}

func (r *result) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// want notes a fault unless ok.
func (r *result) want(ok bool, format string, args ...any) {
	if !ok {
		r.fault(format, args...)
	}
}

func (c check) run(p *probe) Finding {
	f := Finding{ID: c.id, Title: c.title, Against: strings.Fields(c.against), Tried: c.tried, Verdict: Pass}
	if f.Detail = c.missing(p); f.Detail != "" {
		f.Verdict = NotTried
		return f
	}
	var r result
	p.failed = nil
	c.do(p, &r)
	switch {
	case len(r.faults) > 0:
		slices.Sort(r.faults) // reports of two days can be compared
		f.Verdict, f.Detail, f.Remedy = Fail, strings.Join(r.faults, "; "), c.remedy
	case p.failed != nil:
		f.Verdict, f.Detail = NotTried, "a request failed: "+p.failed.Error()
	case r.skip != "":
		f.Verdict, f.Detail = NotTried, r.skip
	default:
		f.Detail = r.detail
	}
	return f
}

// missing says what the check lacks, "" for nothing.
func (c check) missing(p *probe) string {
	o := p.o
	switch {
	case c.needs == nothing:
		return ""
	case p.refused != "":
		return p.refused
	case (c.needs == aPhone || c.needs == twoPhones || c.needs == elsewhere || c.needs == phoneRate) && o.Phone == "":
		return "needs a test account: give the Cookie header of one"
	case c.needs == twoPhones && o.Other == "":
		return "needs the Cookie header of a second test account"
	case c.needs == elsewhere && o.Elsewhere == "":
		return "needs the URL of another site of the same installation"
	case (c.needs == rates || c.needs == phoneRate) && !o.Limits:
		return "would use up the rates of this address"
	}
	return ""
}

// siteOf is the origin of a URL, and its path if it has one.
func siteOf(raw string) (origin *url.URL, page string, err error) {
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, "", fmt.Errorf("%q is no site's URL: give one like https://id.example.com", raw)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, cmp.Or(strings.TrimSuffix(u.EscapedPath(), "/"), ""), nil
}
