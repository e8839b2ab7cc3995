package qrlogin

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is how often something may be done from one address: PerMinute on
// average, Burst at once.
type Rate struct {
	PerMinute int
	Burst     int
}

// Limits are the rates per IP address (IPv6: per /64). The zero value of each
// means its default.
type Limits struct {
	Create   Rate // new codes, and their rotations; default 10/min, burst 20
	Scan     Rate // scans; default 20/min, burst 20; a ticket that is none costs four
	Decide   Rate // approvals and rejections; default 10/min, burst 10
	Exchange Rate // exchanges; default 10/min, burst 10
	Read     Rate // everything that only reads; default 240/min, burst 120
}

func (l Limits) withDefaults() Limits {
	set := func(r *Rate, perMinute, burst int) {
		if r.PerMinute <= 0 {
			r.PerMinute = perMinute
		}
		if r.Burst <= 0 {
			r.Burst = burst
		}
	}
	set(&l.Create, 10, 20)
	set(&l.Scan, 20, 20)
	set(&l.Decide, 10, 10)
	set(&l.Exchange, 10, 10)
	set(&l.Read, 240, 120)
	return l
}

// maxAddresses bounds what a limiter remembers.
const maxAddresses = 10_000

// limiter is a token bucket per address, kept as the one time at which the
// bucket will be full again (GCRA). It is safe for concurrent use and holds at
// most maxAddresses: when more come at once it forgets some, in their favour.
type limiter struct {
	each, burst time.Duration

	mu   sync.Mutex
	full map[netip.Prefix]time.Time
}

func newLimiter(r Rate) *limiter {
	each := time.Minute / time.Duration(r.PerMinute)
	return &limiter{each: each, burst: each * time.Duration(r.Burst), full: map[netip.Prefix]time.Time{}}
}

// allow takes n tokens of ip's bucket, or says how long to wait for them.
func (l *limiter) allow(ip netip.Addr, n int) (wait time.Duration, ok bool) {
	key := addressKey(ip)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[key]
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.each * time.Duration(n))
	if wait := full.Sub(now) - l.burst; wait > 0 {
		return wait, false
	}
	if len(l.full) >= maxAddresses {
		l.forget(now)
	}
	l.full[key] = full
	return 0, true
}

// charge takes n tokens whether they are there or not: a fine.
func (l *limiter) charge(ip netip.Addr, n int) {
	key := addressKey(ip)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full[key]
	if full.Before(now) {
		full = now
	}
	l.full[key] = full.Add(l.each * time.Duration(n))
}

// forget drops the buckets that are full, or if none is, some others.
func (l *limiter) forget(now time.Time) {
	for k, full := range l.full {
		if !full.After(now) {
			delete(l.full, k)
		}
	}
	for k := range l.full {
		if len(l.full) < maxAddresses*9/10 {
			return
		}
		delete(l.full, k)
	}
}

// addressKey is what counts as one address: an IPv6 subscriber has a /64.
func addressKey(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
