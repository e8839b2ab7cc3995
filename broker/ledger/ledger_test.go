package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/ledger"
	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// memory is a store that can be made to fail, before it takes anything or
// after it took it: then the answer is lost.
type memory struct {
	mu     sync.Mutex
	all    map[string][]byte
	before error
	after  error
	writes int
}

func (m *memory) Put(_ context.Context, changes []bus.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before != nil {
		return m.before
	}
	for _, c := range changes {
		m.all[c.Key] = c.Value
		m.writes++
	}
	return m.after
}

func (m *memory) List(_ context.Context, prefix string) (out []bus.Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, v := range m.all {
		if strings.HasPrefix(k, prefix+".") {
			out = append(out, bus.Entry{Key: k, Value: v})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, m.before
}

func (m *memory) Create(_ context.Context, key string, val []byte, _ time.Duration) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, is := m.all[key]; is {
		return 0, bus.ErrConflict
	}
	m.all[key] = val
	return 1, nil
}

// world is a store and a clock that processes share.
type world struct {
	t     *testing.T
	store *memory
	now   time.Time
	told  []string
}

func newWorld(t *testing.T) *world {
	return &world{t: t, store: &memory{all: map[string][]byte{}}, now: time.Date(2026, 3, 31, 22, 30, 0, 0, time.UTC)}
}

// process is one with meters of its own.
type process struct {
	*ledger.Ledger
	*stats.Stats
}

func (w *world) process() process {
	w.t.Helper()
	s := stats.New()
	l, err := ledger.New(w.t.Context(), ledger.Options{
		Store: w.store, Stats: s, Log: slog.New(slog.DiscardHandler),
		Apps:   func(protocol.AccountID) []protocol.AppID { return []protocol.AppID{"app"} },
		Stored: func(context.Context, protocol.AppID) (int64, error) { return 7, nil },
		Warn: func(a protocol.AccountID, u stats.Use, percent int) {
			w.told = append(w.told, fmt.Sprint(a, " ", u.Quota, " ", percent))
		},
		Clock: func() time.Time { return w.now },
	})
	must(w.t, err)
	return process{l, s}
}

func (p process) publish(app string, n, bytes int64) {
	m := p.App(protocol.AppID(app))
	m.Join(p.Account("acc"))
	m.Publish(n, bytes)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sum is what an app used in all periods of q.
func sum(t *testing.T, l *ledger.Ledger, app string, q ledger.Query) ledger.Count {
	t.Helper()
	periods, err := l.OfApp(t.Context(), protocol.AppID(app), q)
	must(t, err)
	var c ledger.Count
	for _, p := range periods {
		c.Messages += p.Messages
		c.Bytes += p.Bytes
		c.Peak = max(c.Peak, p.Peak)
	}
	return c
}

// TestExact counts by hand what many processes count, over restarts, failures
// of the store, hours and days.
func TestExact(t *testing.T) {
	w := newWorld(t)
	dice := rand.New(rand.NewPCG(1, 2))
	begin := w.now
	want := map[string]ledger.Count{}
	byHour := map[time.Time]int64{}
	live := []process{w.process(), w.process()}
	for range 800 {
		p := live[dice.IntN(len(live))]
		app := fmt.Sprint("app", dice.IntN(3))
		switch dice.IntN(12) {
		case 0: // a restart
			must(t, p.Close())
			live = append(slices.DeleteFunc(live, func(o process) bool { return o == p }), w.process())
		case 1:
			w.store.before = errors.New("the disk is full")
			if err := p.Flush(t.Context()); err == nil {
				w.store.before = nil
				must(t, p.Flush(t.Context()))
			}
			w.store.before = nil
		case 2:
			w.store.after = errors.New("the answer is lost")
			_ = p.Flush(t.Context()) // an error if there was anything
			w.store.after = nil
		case 3:
			for _, l := range live { // what is counted belongs to the time at which it is looked at
				must(t, l.Flush(t.Context()))
			}
			w.now = w.now.Add(time.Duration(dice.IntN(600)) * time.Second)
		default:
			n, b := dice.Int64N(5), dice.Int64N(1000)
			p.publish(app, n, b)
			want[app] = ledger.Count{Messages: want[app].Messages + n, Bytes: want[app].Bytes + b}
			byHour[w.now.Truncate(time.Hour)] += n
		}
	}
	for _, l := range live {
		must(t, l.Flush(t.Context()))
	}
	reader := w.process()
	for app, c := range want {
		for _, by := range []ledger.By{ledger.Hour, ledger.Day, ledger.Month} {
			if got := sum(t, reader.Ledger, app, ledger.Query{By: by, From: begin}); got != c {
				t.Errorf("%s by %s: %+v, want %+v", app, by, got, c)
			}
		}
	}
	hours, err := reader.OfAccount(t.Context(), "acc", ledger.Query{By: ledger.Hour, From: begin})
	must(t, err)
	for _, h := range hours {
		if h.Messages != byHour[h.Start] {
			t.Errorf("%s: %d messages, want %d", h.Start, h.Messages, byHour[h.Start])
		}
		minutes := sum(t, reader.Ledger, "app0", ledger.Query{By: ledger.Minute, From: h.Start, To: h.Start.Add(time.Hour)})
		if one := sum(t, reader.Ledger, "app0", ledger.Query{By: ledger.Hour, From: h.Start, To: h.Start.Add(time.Hour)}); minutes != one {
			t.Errorf("%s: minutes have %+v, the hour %+v", h.Start, minutes, one)
		}
	}
	accounts, apps, err := reader.All(t.Context(), ledger.Query{By: ledger.Month, From: begin})
	must(t, err)
	var all int64
	for app, c := range want {
		all += c.Messages
		if apps[protocol.AppID(app)] != c {
			t.Errorf("%s of all: %+v, want %+v", app, apps[protocol.AppID(app)], c)
		}
	}
	if accounts["acc"].Messages != all || len(apps) != 3 {
		t.Errorf("the account has %d messages of %d, in %d apps", accounts["acc"].Messages, all, len(apps))
	}
}

func TestQuotasGoOnAfterARestartAndBeginAnewWithTheMonth(t *testing.T) {
	w := newWorld(t)
	p := w.process()
	month := func(p process) int64 { n, _ := p.Account("acc").Month(); return n }
	p.publish("app", 70, 700)
	must(t, p.Flush(t.Context()))
	p.publish("app", 5, 50)
	if n := month(p); n != 75 {
		t.Fatalf("the month has %d, want 75", n)
	}
	must(t, p.Close())
	p = w.process()
	p.publish("app", 1, 10)
	must(t, p.Flush(t.Context()))
	if n := month(p); n != 76 {
		t.Errorf("after a restart the month has %d, want 76", n)
	}
	w.now = w.now.Add(2 * time.Hour) // April
	p.publish("app", 3, 30)
	must(t, p.Flush(t.Context()))
	if n := month(p); n != 3 {
		t.Errorf("the new month has %d, want 3", n)
	}
	w.now = w.now.Add(-3 * time.Hour) // the clock is set back: the month does not come again
	p.publish("app", 2, 20)
	must(t, p.Flush(t.Context()))
	if n := month(p); n != 5 {
		t.Errorf("after the clock was set back the month has %d, want 5", n)
	}
}

func TestWarnings(t *testing.T) {
	w := newWorld(t)
	ctx, end := context.WithCancel(t.Context())
	p := w.process()
	p.Account("acc").SetQuotas(stats.Quotas{Messages: 100, Stored: 7})
	p.publish("app", 81, 0)
	look := func(p process) string { // Run looks at once
		ctx, end := context.WithCancel(ctx)
		end()
		must(t, p.Run(ctx))
		return p.App("app").Warning()
	}
	if note := look(p); note != "messages 81%, stored 100%" {
		t.Errorf("publishers are told %q", note)
	}
	look(p)
	p.publish("app", 20, 0)
	look(p)
	must(t, p.Close())
	again := w.process() // another process tells nothing twice
	again.Account("acc").SetQuotas(stats.Quotas{Messages: 100})
	again.App("app").Join(again.Account("acc"))
	look(again)
	look(again)
	if want := []string{"acc messages 80", "acc stored 100", "acc messages 100"}; !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
	end()
}

func TestNothingIsWrittenWhereNothingHappens(t *testing.T) {
	w := newWorld(t)
	p := w.process()
	p.publish("app", 1, 1)
	p.App("app").Connect(10)
	must(t, p.Flush(t.Context()))
	n := w.store.writes
	for range 5 {
		must(t, p.Flush(t.Context()))
	}
	if w.store.writes != n {
		t.Errorf("%d writes of what is as it was", w.store.writes-n)
	}
	w.now = w.now.Add(time.Minute)
	must(t, p.Flush(t.Context()))
	if got := sum(t, p.Ledger, "app", ledger.Query{By: ledger.Minute, From: w.now}); got != (ledger.Count{Peak: 1}) {
		t.Errorf("a minute with a silent connection: %+v", got)
	}
}

func TestWrongQueries(t *testing.T) {
	w := newWorld(t)
	p := w.process()
	for _, q := range []ledger.Query{
		{}, {By: "week"}, {By: ledger.Minute, From: w.now.Add(-48 * time.Hour)}, {By: ledger.Hour, From: w.now.Add(time.Hour)}, {By: ledger.Day, From: w.now, To: w.now.Add(-time.Hour * 48)},
	} {
		if _, err := p.OfApp(t.Context(), "app", q); protocol.AsError(err).Code != protocol.CodeBadRequest {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for by, n := range map[ledger.By]int{ledger.Minute: 60, ledger.Hour: 24, ledger.Day: 30, ledger.Month: 12} {
		periods, err := p.OfApp(t.Context(), "app", ledger.Query{By: by})
		must(t, err)
		if len(periods) != n || periods[n-1].Start.After(w.now) || !periods[0].Start.Before(w.now) {
			t.Errorf("by %s: %d periods from %s on", by, len(periods), periods[0].Start)
		}
	}
	w.store.before = errors.New("gone")
	p.publish("app", 1, 1)
	if _, err := p.OfApp(t.Context(), "app", ledger.Query{By: ledger.Hour}); protocol.AsError(err).Code != protocol.CodeUnavailable {
		t.Errorf("without a store: %v", err)
	}
}
