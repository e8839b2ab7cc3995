package qrlogin

import (
	"math"
	"net/netip"
)

// Place is where an address seems to be, for a person to recognise and for the
// risk engine to compare. All of it is a guess of some database; the zero
// Place is one that nobody knows.
type Place struct {
	Country string  `json:"country,omitempty"` // ISO 3166-1, "FR"
	City    string  `json:"city,omitempty"`
	Lat     float64 `json:"-"` // degrees; both 0: not known
	Lon     float64 `json:"-"`
	Network string  `json:"-"` // who owns the address, "AS3215"; "" is not known
	Hosting bool    `json:"-"` // it belongs to a data centre
}

const earthRadius = 6371 // km

// distance is the great circle between two places in km, or -1 where one of
// them is not known so exactly.
func (p Place) distance(o Place) float64 {
	if p.Lat == 0 && p.Lon == 0 || o.Lat == 0 && o.Lon == 0 {
		return -1
	}
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	sin := func(a float64) float64 { s := math.Sin(a / 2); return s * s }
	h := sin(rad(o.Lat-p.Lat)) + math.Cos(rad(p.Lat))*math.Cos(rad(o.Lat))*sin(rad(o.Lon-p.Lon))
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(h)))
}

// sameNetwork reports whether two addresses are of one network: the same /24,
// the same /48 of IPv6, or of one owner. Home and office give a computer and a
// phone on the same Wi-Fi just that.
func sameNetwork(a, b netip.Addr, pa, pb Place) bool {
	if pa.Network != "" && pa.Network == pb.Network {
		return true
	}
	a, b = a.Unmap().WithZone(""), b.Unmap().WithZone("")
	if !a.IsValid() || !b.IsValid() || a.Is4() != b.Is4() {
		return false
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	return err == nil && p.Contains(b)
}
