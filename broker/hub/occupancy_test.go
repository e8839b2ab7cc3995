package hub

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Numbers are told at once, and then at most once a second.
//
// claims: 11.8
func TestOccupancyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := start(t)
		v := newViewer()
		v.watch(h, "room", Watched{Numbers: true})
		readers := []*reader{newReader(), newReader(), newReader()}
		for _, r := range readers {
			h.Subscribe(anyone{app: "app"}, "room", r)
			time.Sleep(100 * time.Millisecond)
		}
		h.Attend("app", "room", "ann", Enter, nil)
		time.Sleep(2 * time.Second)
		h.Unsubscribe("app", "room", readers[0])
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := []protocol.Occupancy{{}, {Subscribers: 3, Members: 1}, {Subscribers: 2, Members: 1}}
		if diff := cmp.Diff(want, v.counts); diff != "" {
			t.Error(diff)
		}
		h.Attend("app", "lobby:1", "ann", Enter, nil)
		h.Attend("other", "lobby:2", "ann", Enter, nil)
		found, more := h.Occupied("app", "", "", 10)
		if diff := cmp.Diff([]protocol.ChannelInfo{{Channel: "lobby:1", Occupancy: protocol.Occupancy{Members: 1}}, {Channel: "room", Occupancy: want[2]}}, found); diff != "" || more {
			t.Error(diff, more)
		}
		if found, more := h.Occupied("app", "", "", 1); len(found) != 1 || !more {
			t.Errorf("%+v %v", found, more)
		}
		if found, _ := h.Occupied("app", "lob", "lobby:1", 10); len(found) != 0 {
			t.Errorf("%+v", found)
		}
	})
}

// claims: 9.33
func TestHubEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		h, err := New(Options{Bus: &loop{in: make(chan bus.Packet, 1)}, Stats: stats.New(), Log: slog.New(slog.DiscardHandler), Events: func(app protocol.AppID, e protocol.WebhookEvent) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", app, e.Type, e.Channel, e.User, e.Presence)))
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		r, other := newReader(), newReader()
		is := func(want ...string) {
			t.Helper()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			got = nil
		}
		h.Subscribe(anyone{app: "app"}, "room", r)
		h.Unsubscribe("app", "room", r)
		is()
		h.Subscribe(anyone{app: "app"}, "room", r)
		h.Subscribe(anyone{app: "app"}, "room", other)
		is("app channel.occupied room")
		h.Unsubscribe("app", "room", r)
		is()
		h.Unsubscribe("app", "room", other)
		h.Subscribe(anyone{app: "app"}, "room", r)
		is()
		h.Unsubscribe("app", "room", r)
		is("app channel.vacated room")
		h.Attend("app", "room", "ann", Enter, data("1"))
		is("app member.joined room ann 1")
		h.Attend("app", "room", "ann", Away, nil)
		is()
		is()
		is("app member.left room ann 1")
		for i := range h.rooms {
			if len(h.rooms[i].occupied) != 0 {
				t.Error("a channel is remembered that nobody is in")
			}
		}
	})
}
