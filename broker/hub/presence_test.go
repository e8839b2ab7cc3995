package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// viewer knows a room by what it is told alone.
type viewer struct {
	mu      sync.Mutex
	members map[string]protocol.Member
	told    []string // action user:data:connections …
	counts  []protocol.Occupancy
	wrong   []string
}

func newViewer() *viewer { return &viewer{members: map[string]protocol.Member{}} }

func (v *viewer) Deliver(f *Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var r protocol.Reply
	if err := json.Unmarshal(f.Line, &r); err != nil {
		v.wrong = append(v.wrong, err.Error())
		return
	}
	if r.Type == protocol.TypeOccupancy {
		v.counts = append(v.counts, *r.Occupancy)
		return
	}
	said := []string{r.Action}
	for _, m := range r.Members {
		_, here := v.members[m.User]
		if fits := r.Action == protocol.PresenceEnter || r.Action == protocol.PresenceSync; here == fits {
			v.wrong = append(v.wrong, fmt.Sprintf("%s %s, who was present: %v", r.Action, m.User, here))
		}
		if r.Action == protocol.PresenceLeave {
			delete(v.members, m.User)
		} else {
			v.members[m.User] = m
		}
		said = append(said, fmt.Sprintf("%s:%s:%d", m.User, m.Data, m.Connections))
	}
	v.told = append(v.told, strings.Join(said, " "))
}

// news is what it was told since the last time.
func (v *viewer) news() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	told := v.told
	v.told = nil
	return told
}

func (v *viewer) watch(h *Hub, ch protocol.Channel, what Watched) {
	// As sessions do: what comes live waits for what comes first.
	v.mu.Lock()
	frames := h.Watch("app", ch, v, what)
	v.mu.Unlock()
	for _, f := range frames {
		v.Deliver(f)
	}
}

// held is a viewer whose deliveries wait until it has its snapshot.
type held struct {
	*viewer
	gate sync.Mutex
	live bool
	late []*Frame
}

func (l *held) Deliver(f *Frame) {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.live {
		l.late = append(l.late, f)
		return
	}
	l.viewer.Deliver(f)
}

func (l *held) watch(h *Hub, ch protocol.Channel) {
	frames := h.Watch("app", ch, l, Watched{Members: true})
	l.gate.Lock()
	defer l.gate.Unlock()
	for _, f := range append(frames, l.late...) {
		l.viewer.Deliver(f)
	}
	l.live, l.late = true, nil
}

func expect(t *testing.T, v *viewer, want ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, v.news()); diff != "" {
		t.Errorf("told: %s", diff)
	}
	if len(v.wrong) > 0 {
		t.Errorf("what it was told does not fit: %q", v.wrong)
	}
}

func data(s string) json.RawMessage { return json.RawMessage(s) }

// claims: 11.2 11.4 11.5
func TestPresenceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := start(t)
		v := newViewer()
		h.Attend("app", "room", "ann", Enter, data(`{"a":1}`))
		synctest.Wait()
		v.watch(h, "room", Watched{Members: true})
		expect(t, v, `sync ann:{"a":1}:1`)
		time.Sleep(time.Second)
		h.Attend("app", "room", "bob", Enter, nil)
		expect(t, v, "enter bob::1")
		// More within the pause is told together and coalesced.
		h.Attend("app", "room", "cat", Enter, nil)
		h.Attend("app", "room", "bob", Update, data("1"))
		h.Attend("app", "room", "bob", Update, data("2"))
		h.Attend("app", "room", "dan", Enter, nil)
		h.Attend("app", "room", "dan", Leave, nil)
		h.Attend("app", "room", "ann", Leave, nil)
		expect(t, v)
		time.Sleep(presencePause)
		expect(t, v, "leave ann::0", "enter cat::1", "update bob:2:1")
		// A second connection is the same member.
		time.Sleep(time.Second)
		h.Attend("app", "room", "bob", Enter, data("2"))
		expect(t, v, "update bob:2:2")
		if got, n := h.Members("app", "room", "", 10); n != 2 || got[0].User != "bob" || got[0].Connections != 2 || got[1].User != "cat" {
			t.Errorf("members: %+v, %d in all", got, n)
		}
		if got, n := h.Members("other", "room", "", 10); n != 0 || len(got) != 0 {
			t.Errorf("another app sees %+v", got)
		}
		h.Unwatch("app", "room", v)
		h.Attend("app", "room", "bob", Leave, nil)
		h.Attend("app", "room", "bob", Leave, nil)
		h.Attend("app", "room", "cat", Leave, nil)
		time.Sleep(time.Second)
		expect(t, v)
		if n := openRooms(h); n != 0 {
			t.Errorf("%d rooms are left", n)
		}
	})
}

func openRooms(h *Hub) (n int) {
	for i := range h.rooms {
		h.rooms[i].mu.Lock()
		n += len(h.rooms[i].open)
		h.rooms[i].mu.Unlock()
	}
	return n
}

// A short drop is not seen by others; a long one is, after the grace.
//
// claims: 11.3
func TestPresenceGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := start(t)
		v := newViewer()
		v.watch(h, "room", Watched{Members: true})
		h.Attend("app", "room", "ann", Enter, data("1"))
		expect(t, v, "sync", "enter ann:1:1")
		for _, c := range []struct {
			away time.Duration
			data string
			want []string
		}{
			{4900 * time.Millisecond, "1", nil},
			{4900 * time.Millisecond, "2", []string{"update ann:2:1"}},
			{5100 * time.Millisecond, "2", []string{"leave ann::0", "enter ann:2:1"}},
		} {
			h.Attend("app", "room", "ann", Away, nil)
			time.Sleep(c.away)
			h.Attend("app", "room", "ann", Enter, data(c.data))
			time.Sleep(time.Minute)
			expect(t, v, c.want...)
		}
		// One of two connections goes: the member stays, after the grace with one.
		h.Attend("app", "room", "ann", Enter, data("2"))
		time.Sleep(time.Second)
		expect(t, v, "update ann:2:2")
		h.Attend("app", "room", "ann", Away, nil)
		time.Sleep(presenceGrace - time.Millisecond)
		expect(t, v)
		time.Sleep(time.Millisecond)
		expect(t, v, "update ann:2:1")
		// A leave is seen at once.
		h.Attend("app", "room", "ann", Leave, nil)
		time.Sleep(presencePause)
		expect(t, v, "leave ann::0")
	})
}

// However enters, leaves, drops and watchers interleave, each watcher's view
// becomes what a plain model says, and no telling contradicts what was told.
//
// claims: 11.4
func TestPresenceModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) [3]int {
			return [3]int{rapid.IntRange(0, 5).Draw(rt, "what"), rapid.IntRange(0, 4).Draw(rt, "user"), rapid.SampledFrom([]int{0, 0, 0, 50, 150, 300, 2000, 5100}).Draw(rt, "ms")}
		}), 1, 80).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			h, _ := start(t)
			live, ghosts := map[string]int{}, map[string][]time.Time{}
			said := map[string]string{}
			var viewers []*viewer
			for i, s := range steps {
				user := string(rune('a' + s[1]))
				switch s[0] {
				case 0, 1:
					said[user] = fmt.Sprint(i / 4)
					h.Attend("app", "room", user, Enter, data(said[user]))
					if n := len(ghosts[user]); n > 0 {
						ghosts[user] = ghosts[user][:n-1]
					}
					live[user]++
				case 2, 3:
					step := []Step{Leave, Away}[s[0]-2]
					if live[user] == 0 {
						break
					}
					live[user]--
					if step == Away {
						ghosts[user] = append(ghosts[user], time.Now())
					}
					h.Attend("app", "room", user, step, nil)
				case 4:
					if live[user] > 0 {
						said[user] = fmt.Sprint("1", i)
						h.Attend("app", "room", user, Update, data(said[user]))
					}
				case 5:
					v := newViewer()
					v.watch(h, "room", Watched{Members: true})
					viewers = append(viewers, v)
				}
				time.Sleep(time.Duration(s[2]) * time.Millisecond)
				for u := range ghosts {
					ghosts[u] = slices.DeleteFunc(ghosts[u], func(at time.Time) bool { return time.Since(at) >= presenceGrace })
				}
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			want := map[string]string{}
			for u, n := range live {
				if n > 0 {
					want[u] = fmt.Sprintf("%s:%d", said[u], n)
				}
			}
			all, _ := h.Members("app", "room", "", 1000)
			if diff := cmp.Diff(want, viewOf(slices.Values(all))); diff != "" {
				t.Fatalf("members: %s", diff)
			}
			for i, v := range viewers {
				if diff := cmp.Diff(want, viewOf(maps.Values(v.members))); diff != "" || len(v.wrong) > 0 {
					t.Fatalf("watcher %d: %s %q", i, diff, v.wrong)
				}
			}
		})
	})
}

func viewOf(members func(func(protocol.Member) bool)) map[string]string {
	view := map[string]string{}
	for m := range members {
		view[m.User] = fmt.Sprintf("%s:%d", m.Data, m.Connections)
	}
	return view
}

// Watchers that come while others enter and leave at the same time, on real
// goroutines: each ends with the same view.
//
// claims: 11.4
func TestPresenceSnapshotMeshes(t *testing.T) {
	h, _ := start(t)
	const users = 50
	viewers := make([]*held, 40)
	var run sync.WaitGroup
	for u := range users {
		run.Go(func() {
			user := fmt.Sprint("user", u)
			for i := range 100 {
				h.Attend("app", "room", user, Enter, data(fmt.Sprint(i)))
				h.Attend("app", "room", user, Update, data(fmt.Sprint(1000+i)))
				if i < 99 || u%2 == 0 {
					h.Attend("app", "room", user, Leave, nil)
				}
			}
		})
	}
	for i := range viewers {
		run.Go(func() {
			viewers[i] = &held{viewer: newViewer()}
			viewers[i].watch(h, "room")
		})
	}
	run.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for _, v := range viewers {
		for {
			v.mu.Lock()
			n, wrong := len(v.members), v.wrong
			v.mu.Unlock()
			if len(wrong) > 0 {
				t.Fatalf("%q", wrong)
			}
			if n == users/2 && openChanges(h) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("a watcher sees %d members, want %d", n, users/2)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
}

func openChanges(h *Hub) (n int) {
	h.with(key{"app", "room"}, func(r *room) { n = len(r.changed) })
	return n
}

// claims: 11.4 11.5
func TestTwentyThousandMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := start(t)
		first := newViewer()
		first.watch(h, "room", Watched{Members: true})
		const n = 20_000
		for i := range n {
			h.Attend("app", "room", fmt.Sprintf("user%05d", i), Enter, data(`{"name":"somebody"}`))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		pages := h.Watch("app", "room", newViewer(), Watched{Members: true})
		again := h.Watch("app", "room", newViewer(), Watched{Members: true})
		if &pages[0] != &again[0] {
			t.Error("the second watcher's pages were made anew")
		}
		seen, last := 0, ""
		for i, f := range pages {
			var r protocol.Reply
			if err := json.Unmarshal(f.Line, &r); err != nil {
				t.Fatal(err)
			}
			if len(r.Members) > presencePage || len(f.Line) > 2*presencePageBytes || r.More != (i < len(pages)-1) || r.Members[0].User <= last {
				t.Fatalf("page %d has %d members, %d bytes, more: %v", i, len(r.Members), len(f.Line), r.More)
			}
			seen += len(r.Members)
			last = r.Members[len(r.Members)-1].User
		}
		if seen != n || len(first.members) != n {
			t.Errorf("the snapshot has %d, the first watcher was told of %d", seen, len(first.members))
		}
		page, total := h.Members("app", "room", "user00009", 5)
		if total != n || len(page) != 5 || page[0].User != "user00010" {
			t.Errorf("%+v of %d", page, total)
		}
		for i := range n {
			h.Attend("app", "room", fmt.Sprintf("user%05d", i), Away, nil)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(first.members) != 0 || len(first.wrong) != 0 {
			t.Errorf("%d are left, wrong: %q", len(first.members), first.wrong)
		}
	})
}

func BenchmarkPresenceEnterLeave(b *testing.B) {
	h, _ := start(b)
	b.ReportAllocs()
	for b.Loop() {
		h.Attend("app", "room", "ann", Enter, nil)
		h.Attend("app", "room", "ann", Leave, nil)
	}
}

func BenchmarkPresenceSnapshot(b *testing.B) {
	h, _ := start(b)
	for i := range 20_000 {
		h.Attend("app", "room", fmt.Sprintf("user%05d", i), Enter, data(`{"name":"somebody"}`))
	}
	for openChanges(h) > 0 {
		<-time.After(10 * time.Millisecond)
	}
	w := newViewer()
	b.ReportAllocs()
	for b.Loop() {
		h.Watch("app", "room", w, Watched{Members: true})
		h.with(key{"app", "room"}, func(r *room) { r.pages = nil })
	}
}
