package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_WEBHOOK_DIR"); dir != "" {
		emitUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// world is the room over a real bus.
type world struct {
	*webhook.Webhooks
	t     testing.TB
	bus   *bus.Bus
	queue *bus.Queue
	logs  *buffer
	stop  func() // ends Run, and returns when it has ended
	close func() // all of it
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start opens the room on a folder, with private addresses allowed unless
// change says otherwise, and runs it.
func start(t testing.TB, dir string, change ...func(*webhook.Options)) *world {
	t.Helper()
	w := openRoom(t, dir, change...)
	w.run()
	return w
}

func openRoom(t testing.TB, dir string, change ...func(*webhook.Options)) *world {
	t.Helper()
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Options{Dir: dir})
	must(t, err)
	w := &world{t: t, bus: b, logs: &buffer{}, stop: func() {}}
	k, err := b.Bucket(ctx, "webhooks", bus.BucketOptions{})
	must(t, err)
	w.queue, err = b.Queue(ctx, "webhooks", bus.QueueOptions{})
	must(t, err)
	j, err := b.Journal(ctx, "webhooks", bus.JournalOptions{Entries: webhook.KeepTries, MaxAge: webhook.KeepTriesFor, MaxBytes: webhook.KeepTriesBytes})
	must(t, err)
	o := webhook.Options{Records: k, Queue: w.queue, Log: j, MasterKey: [32]byte{7}, AllowPrivate: true, Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&o)
	}
	w.Webhooks, err = webhook.New(ctx, o)
	if err != nil {
		b.Close()
	}
	must(t, err)
	w.close = sync.OnceFunc(func() {
		w.stop()
		w.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

func (w *world) create(app protocol.AppID, url string, events ...string) protocol.Webhook {
	w.t.Helper()
	h, err := w.Create(w.t.Context(), app, protocol.WebhookInput{URL: url, Events: events})
	must(w.t, err)
	return h
}

// one is the app's webhook of that id as it is now.
func (w *world) one(app protocol.AppID, id string) protocol.Webhook {
	w.t.Helper()
	for _, h := range w.List(app) {
		if h.ID == id {
			return h
		}
	}
	w.t.Fatalf("app %s has no webhook %s", app, id)
	return protocol.Webhook{}
}

func (w *world) deliveries(app protocol.AppID, id string) []protocol.WebhookDelivery {
	w.t.Helper()
	ds, err := w.Deliveries(w.t.Context(), app, id)
	must(w.t, err)
	return ds
}

// arrival is one request that a receiver got.
type arrival struct {
	header http.Header
	body   []byte
}

func (a arrival) id() string { return a.header.Get("webhook-id") }

// data is the data of the body.
func (a arrival) data(t testing.TB) map[string]any {
	t.Helper()
	var b struct{ Data map[string]any }
	must(t, json.Unmarshal(a.body, &b))
	return b.Data
}

// receiver is a server that events are sent to. It answers with status, or as
// answer says.
type receiver struct {
	*httptest.Server
	got    chan arrival
	answer func(w http.ResponseWriter, n int)

	mu   sync.Mutex
	n    int
	now  int
	most int // requests at a time
}

func receive(t testing.TB, answer func(w http.ResponseWriter, n int)) *receiver {
	t.Helper()
	r := &receiver{got: make(chan arrival, 100_000), answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.n++
	n := r.n
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	r.got <- arrival{req.Header.Clone(), body}
	if r.answer != nil {
		r.answer(w, n)
	}
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
}

func (r *receiver) next(t testing.TB) arrival {
	t.Helper()
	select {
	case a := <-r.got:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return arrival{}
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func occupied(n int) webhook.Event {
	return webhook.Event{Type: protocol.WebhookChannelOccupied, Channel: protocol.Channel(fmt.Sprint("c:", n))}
}
