package hub

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// served notes whose turn it was.
type served struct {
	name string
	log  *[]string
}

func (s *served) Deliver(*Frame) {
	if n := len(*s.log); n == 0 || (*s.log)[n-1] != s.name {
		*s.log = append(*s.log, s.name)
	}
}

// Big rooms of one app keep neither another app nor another room of the same
// app waiting for more than a chunk.
func TestCrewTakesTurns(t *testing.T) {
	var log, done []string
	w := newCrew(0, func(r *round) { done = append(done, string(r.k.app)+"/"+string(r.k.ch)) })
	room := func(app protocol.AppID, ch protocol.Channel, n int) {
		r := &round{k: key{app, ch}, frames: []*Frame{{}}}
		for range n {
			r.subs = append(r.subs, &served{string(app) + "/" + string(ch), &log})
		}
		w.add(r)
	}
	room("noisy", "big", 5*chunk)
	room("noisy", "other", 2*chunk)
	room("quiet", "small", chunk/2)
	for w.help() {
	}
	want := "noisy/big quiet/small noisy/other noisy/big noisy/other noisy/big"
	if got := strings.Join(log, " "); got != want {
		t.Errorf("turns: %s\nwant:  %s", got, want)
	}
	if got := strings.Join(done, " "); got != "quiet/small noisy/other noisy/big" {
		t.Errorf("done: %s", got)
	}
}

// taker is a subscriber that says how many frames it was brought at a time.
type taker struct {
	mu  sync.Mutex
	at  []time.Duration
	n   []int
	one func() time.Duration
}

func (g *taker) Deliver(f *Frame) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.n = append(g.at, g.one()), append(g.n, max(1, len(f.Parts)))
}

// laggard makes rounds last.
type laggard struct{ d time.Duration }

func (l *laggard) Deliver(*Frame) { <-time.After(l.d) }

// A message that comes alone goes out at once; those that come during a round
// and its rest go out together, in order.
func TestBusyChannelGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := start(t)
		began := time.Now()
		g := &taker{one: func() time.Duration { return time.Since(began) }}
		h.Subscribe(anyone{app: "a"}, "room", g)
		for range atOnce {
			h.Subscribe(anyone{app: "a"}, "room", &laggard{time.Millisecond / 20})
		}
		h.Subscribe(anyone{app: "a"}, "room", &taker{one: g.one})
		send := func() {
			l.in <- bus.Packet{App: "a", Channel: "room", Body: []byte(`{"data":1}`)}
		}
		send()
		for range 10 { // ten a millisecond apart
			<-time.After(300 * time.Microsecond)
			send()
		}
		<-time.After(time.Second)
		send()
		synctest.Wait()
		<-time.After(time.Second)
		g.mu.Lock()
		defer g.mu.Unlock()
		if got := fmt.Sprint(g.n); got != "[1 10 1]" {
			t.Errorf("brought %s at %v", got, g.at)
		}
		if g.at[0] != 0 || g.at[1] > restMost {
			t.Errorf("at %v: the first must not wait, the others no longer than %v", g.at, restMost)
		}
	})
}

// Frames that a subscriber takes or leaves one by one are not joined.
func TestJoinRuns(t *testing.T) {
	f := func(line, epoch, from string, seq uint64) *Frame {
		return &Frame{Line: []byte(line), Epoch: epoch, Seq: seq, From: from}
	}
	got := ""
	for _, one := range joinRuns([]*Frame{f("1", "a", "", 1), f("2", "a", "", 2), f("3", "a", "me", 3), f("4", "a", "", 4), f("5", "a", "", 5), f("6", "b", "", 1), f("7", "", "", 0)}) {
		got += fmt.Sprintf("%s(%s%d) ", strings.ReplaceAll(string(one.Line), "\n", "+"), one.Epoch, one.Seq)
	}
	if want := "1+2(a2) 3(a3) 4+5(a5) 6(b1) 7(0) "; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	big := strings.Repeat("x", joinedBytes/2)
	if n := len(Join([]*Frame{{Line: []byte(big)}, {Line: []byte(big)}, {Line: []byte("y")}})); n != 2 {
		t.Errorf("%d frames of at most %d bytes", n, joinedBytes)
	}
}

// A frame is encoded once for each wire, whoever asks.
func TestFrameOnWires(t *testing.T) {
	calls := 0
	wire := func(prefix string) *Wire {
		return &Wire{Encode: func(f *Frame) []byte { calls++; return append([]byte(prefix), f.Line...) }}
	}
	a, b := wire("a"), wire("b")
	f := &Frame{Line: []byte("x")}
	for range 3 {
		if got := string(f.On(a)) + string(f.On(b)); got != "axbx" {
			t.Errorf("got %q", got)
		}
	}
	if calls != 2 {
		t.Errorf("encoded %d times", calls)
	}
}

// A channel that brings more than can be delivered ends the subscriptions of
// just its own.
func TestOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := start(t)
		h.Subscribe(anyone{app: "a"}, "room", &laggard{time.Hour})
		kinds := &kinds{}
		for range atOnce + 1 {
			h.Subscribe(anyone{app: "a"}, "room", kinds.one())
		}
		other := newReader()
		h.Subscribe(anyone{app: "a"}, "other", other)
		body := []byte(`{"data":"` + strings.Repeat("x", 1<<20) + `"}`)
		for range overrunBytes>>20 + 3 {
			l.in <- bus.Packet{App: "a", Channel: "room", Body: body}
		}
		l.in <- bus.Packet{App: "a", Channel: "other", Body: []byte(`{"data":1}`)}
		other.wait(1) // while the room's round still lasts
		<-time.After(10 * time.Hour)
		synctest.Wait()
		if got := kinds.of(0); got != "1 overrun 1 1" {
			t.Errorf("the room's subscribers got %s", got)
		}
	})
}

// kinds is subscribers that note what they are brought.
type kinds struct{ all []*kind }

type kind struct {
	mu  sync.Mutex
	got []string
}

func (k *kinds) one() *kind {
	one := &kind{}
	k.all = append(k.all, one)
	return one
}

func (k *kinds) of(i int) string {
	k.all[i].mu.Lock()
	defer k.all[i].mu.Unlock()
	return strings.Join(k.all[i].got, " ")
}

func (k *kind) Deliver(f *Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.Type == TypeOverrun {
		k.got = append(k.got, f.Type)
		return
	}
	k.got = append(k.got, fmt.Sprint(max(1, len(f.Parts))))
}
