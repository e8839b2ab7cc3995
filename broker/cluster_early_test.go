package broker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// reader is a client of the SDK's that writes down when which message came. A
// goroutine reads; the rest may be called concurrently.
type reader struct {
	mu    sync.Mutex
	at    map[string]time.Time // by id
	early int
	twice []string
	got   map[protocol.Channel][]protocol.Position // of those that came stored
	gaps  []string
}

// reads subscribes at node n, and goes on at the others.
func (c *nodes) reads(n int, early bool, channels ...string) *reader {
	c.t.Helper()
	r := &reader{at: map[string]time.Time{}, got: map[protocol.Channel][]protocol.Position{}}
	var others []string
	for i := 1; i < len(c.all); i++ {
		others = append(others, c.all[(n+i)%len(c.all)].URL)
	}
	client, err := fanfare.New(c.all[n].URL, c.all[n].PublishableKey, fanfare.WithServers(others...), fanfare.WithOnGap(func(ch protocol.Channel, reason string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gaps = append(r.gaps, string(ch)+": "+reason)
	}))
	if err != nil {
		c.t.Fatal(err)
	}
	sub, err := client.SubscribeWith(c.t.Context(), fanfare.SubscribeOptions{Early: early}, channels...)
	if err != nil {
		c.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range sub.All() {
			if err != nil {
				return
			}
			r.take(m)
		}
	})
	c.t.Cleanup(func() {
		sub.Close()
		reading.Wait()
		client.CloseIdleConnections()
	})
	return r
}

func (r *reader) take(m protocol.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at[m.ID].IsZero() {
		r.twice = append(r.twice, m.ID)
	}
	r.at[m.ID] = time.Now()
	if m.Type == protocol.TypeEarly {
		r.early++
	} else {
		r.got[m.Channel] = append(r.got[m.Channel], m.Position)
	}
}

func (r *reader) when(id string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[id]
}

// heartbeats are publishers, one for each channel, that publish one message
// after the other through the SDK.
type heartbeats struct {
	halt atomic.Bool
	run  sync.WaitGroup

	mu   sync.Mutex
	acks map[string]time.Time // by id: when it was answered
	each []int
}

func (c *nodes) beat(alive []int, channels ...string) *heartbeats {
	h := &heartbeats{acks: map[string]time.Time{}, each: make([]int, len(channels))}
	for i, ch := range channels {
		n := alive[i%len(alive)]
		client, err := fanfare.New(c.all[n].URL, c.all[n].SecretKey)
		if err != nil {
			c.t.Fatal(err)
		}
		h.run.Go(func() {
			defer client.CloseIdleConnections()
			for !h.halt.Load() {
				done, err := client.Publish(context.Background(), ch, i)
				if err != nil {
					c.t.Errorf("a publish at node %d: %v", n, err)
					return
				}
				h.mu.Lock()
				h.acks[done.ID] = time.Now()
				h.each[i]++
				h.mu.Unlock()
			}
		})
	}
	return h
}

// more waits until each publisher was answered n times more.
func (h *heartbeats) more(t *testing.T, n int) {
	t.Helper()
	h.mu.Lock()
	before := slices.Clone(h.each)
	h.mu.Unlock()
	eventually(t, "each publisher is answered", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, was := range before {
			if h.each[i] < was+n {
				return false
			}
		}
		return true
	})
}

// TestClusterComesEarly kills a node that leads streams, under load: who asked
// for that gets messages before they are stored, on every node, and each once.
//
// claims: 4.2 4.7 4.8 7.8
func TestClusterComesEarly(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	c.rules(keepMuch, `"much"`)
	var channels []string
	for i := range 12 { // on all streams of a kind
		channels = append(channels, fmt.Sprint("much:", i))
	}
	readers := []*reader{c.reads(0, true, channels...), c.reads(2, true, channels...)}
	plain := c.reads(1, false, channels...)
	acked := map[string]time.Time{}
	early := 0
	for victim := 0; victim < 3 && early == 0; victim++ { // it may lead none of the streams
		alive := []int{(victim + 1) % 3, (victim + 2) % 3}
		there := []*reader{c.reads(alive[0], true, channels...), c.reads(alive[1], true, channels...)}
		h := c.beat(alive, channels...)
		h.more(t, 3)
		c.all[victim].kill()
		h.more(t, 3)
		h.halt.Store(true)
		h.run.Wait()
		for id, at := range h.acks {
			acked[id] = at
			before := func(r *reader) bool { when := r.when(id); return !when.IsZero() && at.Sub(when) > time.Second }
			if before(there[0]) && before(there[1]) {
				early++
			}
		}
		c.again(victim)
		c.ready(victim)
		// A node that starts again has another address; who was there has gone on.
	}
	if early == 0 {
		t.Error("no message came before it was stored")
	}
	t.Logf("%d messages, of which %d came a second and more before they were stored", len(acked), early)
	for i, r := range append(readers, plain) {
		eventually(t, fmt.Sprintf("all has come to client %d", i), func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.at) >= len(acked)
		})
		for id := range acked {
			if r.when(id).IsZero() {
				t.Errorf("client %d never got %s", i, id)
			}
		}
		r.mu.Lock()
		if len(r.twice) > 0 || len(r.gaps) > 0 || len(r.at) != len(acked) {
			t.Errorf("client %d got %d messages of %d, twice %v, gaps %v", i, len(r.at), len(acked), r.twice, r.gaps)
		}
		for ch, positions := range r.got {
			last := uint64(0)
			for _, p := range positions {
				_, seq, err := p.Parse()
				if err != nil || seq <= last {
					t.Errorf("client %d, %s: %s comes behind %d", i, ch, p, last)
				}
				last = seq
			}
		}
		r.mu.Unlock()
	}
	if plain.early > 0 {
		t.Errorf("%d messages came early to who did not ask for that", plain.early)
	}
}
