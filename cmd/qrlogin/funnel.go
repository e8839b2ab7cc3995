package main

import (
	"net/http"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// stage is a step of the funnel, as a bar.
type stage struct {
	Name  string
	Count uint64
	Of    uint64 // all that were created: the bar's full length
}

// getFunnel shows how many attempts come how far, and how long the steps take.
func (a *app) getFunnel(w http.ResponseWriter, r *http.Request) {
	if _, ok := a.current(r); !ok {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	f := a.qr.Funnel()
	times := []struct {
		Name string
		qrlogin.Spread
	}{
		{"Code shown → scanned", f.CreatedToScanned}, {"Scanned → confirmed", f.ScannedToApproved},
		{"Confirmed → page signed in", f.ApprovedToConsumed}, {"All of it", f.CreatedToConsumed},
	}
	for i := range times {
		for _, d := range []*time.Duration{&times[i].P50, &times[i].P90, &times[i].P99} {
			*d = d.Round(time.Millisecond)
		}
	}
	a.draw(w, http.StatusOK, "funnel.html", map[string]any{
		"Site": a.o.site, "Times": times,
		"Stages": []stage{{"Created", f.Created, f.Created}, {"Shown", f.Shown, f.Created}, {"Scanned", f.Scanned, f.Created}, {"Digits asked", f.Challenged, f.Created}, {"Confirmed", f.Approved, f.Created}, {"Signed in", f.Consumed, f.Created}},
		"Exits":  []stage{{"Rejected", f.Rejected, f.Created}, {"Cancelled", f.Cancelled, f.Created}, {"Expired", f.Expired, f.Created}, {"Second scans", f.SecondScans, f.Created}, {"Wrong digits", f.WrongCodes, f.Created}, {"Refused tries", f.Refused, f.Created}},
	})
}
