package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/webhook"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// This file's rooms run on a virtual clock, over a bucket, a queue and a
// journal in memory: the message server's client shares timers between all
// that use it, so it must stay out of the bubbles.

// fakeNet answers requests without a network. It keeps when they came.
type fakeNet struct {
	answer func(*http.Request) (*http.Response, error)

	mu sync.Mutex
	at []time.Time
	id map[string]bool
}

func (f *fakeNet) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.at = append(f.at, time.Now())
	if f.id == nil {
		f.id = map[string]bool{}
	}
	f.id[r.Header.Get("webhook-id")] = true
	f.mu.Unlock()
	return f.answer(r)
}

func (f *fakeNet) tries() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.at)
}

func response(status int, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("so it is"))}
	for i := 0; i+1 < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

// inBubble runs fn with a room on a virtual clock that has one endpoint, and
// one event on its way.
func inBubble(t *testing.T, answer func(*http.Request) (*http.Response, error), fn func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, h protocol.Webhook)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, n := newMemory(), &fakeNet{answer: answer}
		w, err := webhook.New(t.Context(), webhook.Options{Records: memKV{m}, Queue: memQueue{m}, Log: memJournal{m}, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		defer w.Close()
		webhook.Through(w, n)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer cancel()
		h, err := w.Create(t.Context(), "app1", protocol.WebhookInput{URL: "https://hooks.example.com/"})
		must(t, err)
		synctest.Wait()
		w.Emit("app1", occupied(1))
		fn(t, w, m, n, h)
	})
}

func near(d, want time.Duration) bool {
	return d >= want*89/100 && d <= want*111/100+time.Second
}

// wait lets virtual time pass.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// claims: 9.34
func TestAReceiverThatFailsForADayGetsItsEvent(t *testing.T) {
	began := time.Time{}
	inBubble(t, func(*http.Request) (*http.Response, error) {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < 24*time.Hour {
			return response(500), nil
		}
		return response(204), nil
	}, func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, h protocol.Webhook) {
		wait(48 * time.Hour)
		at := n.tries()
		if len(at) != 8 || len(n.id) != 1 {
			t.Fatalf("it was tried %d times, under %d ids; want 8 and 1", len(at), len(n.id))
		}
		for i, want := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour} {
			if d := at[i+1].Sub(at[i]); !near(d, want) {
				t.Errorf("try %d came after %v, want %v ±10 %%", i+2, d, want)
			}
		}
		ds, err := w.Deliveries(t.Context(), "app1", h.ID)
		must(t, err)
		if len(ds) != 8 || !ds[0].OK || ds[0].Attempt != 8 || ds[7].OK || ds[7].Attempt != 1 {
			t.Errorf("the log is %+v", ds)
		}
		if m.queued() != 0 || w.List("app1")[0].Waiting != 0 {
			t.Error("something waits")
		}
	})
}

// claims: 9.34
func TestAReceiverThatIsGoneForGoodIsGivenUp(t *testing.T) {
	inBubble(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("cut off") },
		func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, h protocol.Webhook) {
			wait(10 * 24 * time.Hour)
			if got := len(n.tries()); got != 8 {
				t.Errorf("it was tried %d times, want 8", got)
			}
			ds, err := w.Deliveries(t.Context(), "app1", h.ID)
			must(t, err)
			if ds[0].Next != nil || !strings.Contains(ds[0].Error, "given up") || ds[1].Next == nil {
				t.Errorf("the last two tries are %+v", ds[:2])
			}
			if got := w.List("app1")[0]; m.queued() != 0 || got.Waiting != 0 || got.Disabled {
				t.Errorf("afterwards: %+v", got)
			}
		})
}

// claims: 9.34
func TestGoneDisables(t *testing.T) {
	inBubble(t, func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("webhook-id") == "" {
			t.Error("no webhook-id")
		}
		<-time.After(time.Second)
		return response(410), nil
	}, func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, h protocol.Webhook) {
		for i := range 50 {
			w.Emit("app1", occupied(i))
		}
		wait(time.Hour)
		got := w.List("app1")[0]
		if !got.Disabled || !strings.Contains(got.DisabledReason, "410") || got.Waiting != 0 || m.queued() != 0 {
			t.Errorf("after 410: %+v; %d in the queue", got, m.queued())
		}
		before := len(n.tries())
		if before > 8 {
			t.Errorf("%d tries were made", before)
		}
		w.Emit("app1", occupied(1))
		wait(time.Hour)
		if len(n.tries()) != before {
			t.Error("a disabled webhook got something")
		}
		if _, err := w.Test(t.Context(), "app1", h.ID); err != nil { // people may still try it out
			t.Error(err)
		}
	})
}

// claims: 9.34
func TestAReceiverThatHangsIsLeftAfterTenSeconds(t *testing.T) {
	inBubble(t, func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}, func(t *testing.T, w *webhook.Webhooks, _ *memory, n *fakeNet, h protocol.Webhook) {
		wait(20 * time.Second)
		at := n.tries()
		if len(at) != 2 || !near(at[1].Sub(at[0]), 15*time.Second) {
			t.Fatalf("tries at %v", at)
		}
		ds, err := w.Deliveries(t.Context(), "app1", h.ID)
		must(t, err)
		if d := ds[0]; d.Latency != 10_000 || d.Error != "the receiver did not answer within 10s" || d.Status != 0 {
			t.Errorf("the try is %+v", d)
		}
	})
}

// claims: 9.34
func TestRetryAfterIsHonoured(t *testing.T) {
	inBubble(t, func(*http.Request) (*http.Response, error) { return response(503, "Retry-After", "3600"), nil },
		func(t *testing.T, _ *webhook.Webhooks, _ *memory, n *fakeNet, _ protocol.Webhook) {
			wait(90 * time.Minute)
			if at := n.tries(); len(at) != 2 || at[1].Sub(at[0]) < time.Hour {
				t.Errorf("tries at %v", at)
			}
		})
	now := time.Now()
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "7": 7 * time.Second, "99999999999": 24 * time.Hour, "9999999": 24 * time.Hour,
		now.Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		if got := webhook.RetryAfter(http.Header{"Retry-After": {text}}, now); got < want-time.Second || got > want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if d, _ := webhook.Pause(1, 48*time.Hour); d != 24*time.Hour {
		t.Errorf("a receiver may ask for %v", d)
	}
}

func TestPausesDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		d, ok := webhook.Pause(2, 0)
		if !ok || !near(d, 5*time.Minute) {
			t.Fatalf("%v, %v", d, ok)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different pauses of 100", len(seen))
	}
}

// Events wait in memory, and tries in their places, while the disk is full.
func TestADiskThatIsFullForAWhileLosesNothing(t *testing.T) {
	down := true
	var mu sync.Mutex
	inBubble(t, func(*http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return response(500), nil
		}
		return response(200), nil
	}, func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, _ protocol.Webhook) {
		m.failWith(bus.ErrDiskFull)
		for i := range 1000 {
			w.Emit("app1", occupied(i))
		}
		wait(time.Minute)
		mu.Lock()
		down = false
		mu.Unlock()
		m.failWith(nil)
		wait(time.Hour)
		if len(n.id) != 1001 || m.queued() != 0 || w.Lost() != 0 {
			t.Errorf("%d events came of 1001; %d wait, %d are lost", len(n.id), m.queued(), w.Lost())
		}
	})
}

// A slow endpoint's jobs are put off for about as long as it needs for those
// before them: each is moved a few times, not once a second.
func TestWhatIsPutOffComesInTurn(t *testing.T) {
	inBubble(t, func(*http.Request) (*http.Response, error) {
		<-time.After(2 * time.Second)
		return response(200), nil
	}, func(t *testing.T, w *webhook.Webhooks, m *memory, n *fakeNet, _ protocol.Webhook) {
		const events = 4000
		for i := range events {
			w.Emit("app1", occupied(i))
		}
		began := time.Now()
		for m.queued() > 0 || len(n.tries()) < events {
			wait(time.Second)
			if time.Since(began) > 3*time.Hour {
				t.Fatalf("after %v %d events wait", time.Since(began), m.queued())
			}
		}
		took := time.Since(began)
		t.Log(fmt.Sprint(events, " events of 2 s, 4 at a time, took ", took.Round(time.Second)))
		if took > 50*time.Minute { // 33 min is what it takes without a pause
			t.Errorf("it took %v", took)
		}
	})
}
