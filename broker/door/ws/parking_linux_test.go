package ws

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
)

// parked is a line that reads a byte at a time and parks in between.
type parked struct {
	l    *line
	got  chan string // a byte, or an error
	wake func()
}

func (p *parked) turn() {
	b := make([]byte, 1)
	for {
		if _, err := p.l.Read(b); err != nil {
			p.got <- "gone"
			return
		}
		p.got <- string(b)
		if p.l.park(p.wake) {
			return
		}
	}
}

// Silent connections cost no goroutine; each is woken for what comes, once, and
// for its end, whoever ends it.
func TestParking(t *testing.T) {
	const clients = 200
	p, err := newParking()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	before := runtime.NumGoroutine()
	var all []*parked
	var peers []io.WriteCloser
	for range clients {
		l, peer := pair(t)
		l.parking = p
		one := &parked{l: l, got: make(chan string, 10)}
		one.wake = one.turn
		if !l.park(one.wake) {
			t.Fatal("not parked")
		}
		all, peers = append(all, one), append(peers, peer)
	}
	if n := runtime.NumGoroutine() - before; n > 5 {
		t.Errorf("%d goroutines for %d silent clients", n, clients)
	}
	for round := range 3 {
		var run sync.WaitGroup
		for i, peer := range peers {
			run.Go(func() {
				if _, err := fmt.Fprint(peer, round); err != nil {
					t.Error(err)
				}
				if got := <-all[i].got; got != fmt.Sprint(round) {
					t.Errorf("got %q", got)
				}
			})
		}
		run.Wait()
	}
	for i, one := range all {
		if i%2 == 0 {
			_ = peers[i].Close()
		} else {
			_ = one.l.Close()
		}
	}
	for _, one := range all {
		if got := <-one.got; got != "gone" {
			t.Errorf("got %q", got)
		}
		_ = one.l.Close()
		if one.l.park(one.wake) {
			t.Error("a closed line is parked")
		}
	}
}

// A line that is closed at the moment when it parks is woken or not parked,
// but never forgotten.
func TestParkingRacesClose(t *testing.T) {
	p, err := newParking()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for range 300 {
		l, _ := pair(t)
		l.parking = p
		woken := make(chan struct{})
		var run sync.WaitGroup
		run.Go(func() { _ = l.Close() })
		is := l.park(func() { close(woken) })
		run.Wait()
		if is {
			<-woken
		}
	}
}
