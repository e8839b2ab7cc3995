package bench_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
)

func TestFanout(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "fanout", "--subscribers", "20", "--rate", "100", "--duration", "500ms", "--warm", "100ms")
	figures(t, r, "cpu_seconds", "rss_bytes", "peak_rss_bytes", "delivered_per_second", "cpu_us_per_delivered")
	if run := r.Runs[0]; run.Figures["published"] != 50 || run.Figures["delivered"] != 1000 {
		t.Errorf("%v published and %v delivered, want 50 and 1000", run.Figures["published"], run.Figures["delivered"])
	}
	latencies(t, r.Runs[0].Latency, 1000)
	if r.Load["subscribers"] != 20 || r.Load["size_bytes"] != 128 {
		t.Errorf("the load is %v", r.Load)
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "fanout", "--ladder", "--steps", "3", "--subscribers", "5", "--rate", "100", "--within", "1m", "--duration", "100ms", "--warm", "10ms", "--ephemeral")
	if len(r.Runs) != 3 || r.Runs[2].Name != "400/s" || r.Summary["held_per_second"] != 400 || r.Summary["held_deliveries_per_second"] != 2000 {
		t.Errorf("the steps are %v, and held is %v", r.Runs, r.Summary)
	}
}

// TestLadderFails: a latency that nothing can keep is told as a failure.
func TestLadderFails(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	sh := &shell{}
	err := sh.run(t.Context(), "fanout", "--url", s.URL, "--key", s.SecretKey, "--ladder", "--subscribers", "5", "--rate", "200", "--within", "1ns", "--duration", "100ms", "--warm", "10ms")
	if !errors.Is(err, bench.ErrFailed) || !strings.Contains(sh.out.String(), "FAILED: no rate was held") || strings.Count(sh.out.String(), "p99 over 1ns") != 8 { // 200 to 25/s, each twice
		t.Errorf("%v:\n%s", err, sh.out.String())
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "idle", "--connections", "200", "--duration", "100ms", "--settle", "100ms")
	figures(t, r, "rss_bytes", "rss_before_bytes")
}

func TestChannels(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	for _, batch := range []string{"1", "7"} {
		r := measure(t, s, "channels", "--channels", "30", "--publishers", "4", "--batch", batch, "--duration", "200ms", "--warm", "50ms")
		figures(t, r, "published", "published_per_second", "answer_p50_us", "answer_p99_us")
		latencies(t, r.Runs[0].Latency, r.Runs[0].Figures["published"])
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "publish", "--connections", "4", "--writers", "2", "--batch", "10", "--channels", "20", "--duration", "200ms", "--warm", "50ms")
	figures(t, r, "batch", "published_per_second")
	if len(r.Runs) != 2 || r.Runs[0].Name != "4 × 1" || r.Runs[1].Name != "2 × 10" {
		t.Errorf("the runs are %v", r.Runs)
	}
	latencies(t, r.Runs[0].Latency, 0)
	if r = measure(t, s, "publish", "--batch", "1", "--connections", "2", "--duration", "50ms", "--warm", "10ms", "--ephemeral"); len(r.Runs) != 1 {
		t.Errorf("the runs are %v", r.Runs)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "connect", "--connections", "150", "--concurrency", "20", "--from", "127.0.0.3-5")
	figures(t, r, "connects_per_second", "cpu_us_per_connect")
	latencies(t, r.Runs[0].Latency, 150)
}

func TestChurn(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "churn", "--connections", "5", "--channels", "7", "--duration", "200ms", "--warm", "50ms")
	figures(t, r, "pairs_per_second")
	latencies(t, r.Runs[0].Latency, 0)
}

// TestSlow: the slow one is ended by the server, and the others lose nothing.
func TestSlow(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "slow", "--subscribers", "1", "--slow", "2", "--rate", "300", "--size", "60000", "--duration", "400ms", "--warm", "50ms")
	if len(r.Runs) != 2 || r.Summary["p99_ratio"] <= 0 || r.Summary["slow_ended"]+r.Summary["slow_caught_up"] != 2 {
		t.Errorf("%+v", r)
	}
	if r.Summary["slow_ended"] != 2 {
		t.Errorf("%v slow readers were ended, want both", r.Summary["slow_ended"])
	}
}

// TestNoisy: both parts are measured, and the noise has an app of its own.
func TestNoisy(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	r := measure(t, s, "noisy", "--subscribers", "2", "--rate", "50", "--noisy-subscribers", "50", "--noisy-rate", "100", "--duration", "300ms", "--warm", "50ms")
	if len(r.Runs) != 2 || r.Summary["p99_ratio"] <= 0 {
		t.Errorf("%+v", r)
	}
	for _, run := range r.Runs {
		latencies(t, run.Latency, run.Figures["delivered"])
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	for _, more := range [][]string{nil, {"--at-once", "3", "--missed", "150"}} {
		r := measure(t, s, append([]string{"resume", "--clients", "20", "--channels", "4"}, more...)...)
		figures(t, r, "caught_up", "rss_before_bytes", "seconds")
		latencies(t, r.Runs[0].Latency, 20)
	}
	// The demo app's channels keep 100, so the first message is gone.
	sh := &shell{}
	err := sh.run(t.Context(), "resume", "--url", s.URL, "--key", s.SecretKey, "--clients", "1", "--missed", "300")
	if f, ok := errors.AsType[*bench.Failure](err); !ok || !strings.Contains(f.Message, "could not resume: evicted") || !strings.Contains(f.Remedy, "--missed") {
		t.Errorf("the error is %v", err)
	}
}

func TestTextReport(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	sh := &shell{}
	err := sh.run(t.Context(), "fanout", "--url", s.URL, "--key", s.SecretKey, "--pid", strconv.Itoa(os.Getpid()), "--subscribers", "3", "--duration", "100ms", "--warm", "10ms", "--rate", "50")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 subscribers × 50 messages/s × 128 bytes", "delivered | 15\n", "server CPU per delivery", "latency p99.9", "server memory (RSS)"} {
		if !strings.Contains(sh.out.String(), want) {
			t.Errorf("no %q in:\n%s", want, sh.out.String())
		}
	}
	if sh.err.Len() > 0 {
		t.Errorf("progress on what is no terminal: %q", sh.err.String())
	}
}

// TestOwnAppGoes: the app that a run makes is gone when it ends.
func TestOwnAppGoes(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	measure(t, s, "fanout", "--subscribers", "1", "--duration", "10ms", "--warm", "1ms")
	var list struct{ Apps []struct{ Name string } }
	if err := ask(t.Context(), s.URL, s.AccountToken, "GET", "/v1/apps", nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Apps) != 1 {
		t.Errorf("there are the apps %v, want only the demo app", list.Apps)
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	for _, c := range []struct{ args, want string }{
		{"fanout --subscribers 0", "--subscribers is 0; it must be from 1"},
		{"fanout --rate 0", "--rate"},
		{"fanout --size 10", "--size is 10; it must be from 49"},
		{"fanout --duration 24h", "--duration"},
		{"fanout --wire morse", "morse"},
		{"fanout --url https://127.0.0.1", "plain HTTP"},
		{"fanout --url http://192.0.2.1:80", "not on this machine"},
		{"fanout --from 127.0.0.9-3", "no range of addresses"},
		{"fanout --from ::1", "no range of addresses"},
		{"fanout --pid 999999999", "no process 999999999"},
		{"fanout --key ffs_x --ephemeral", "--ephemeral"},
		{"idle --connections 1000000", "--connections"},
		{"churn --wire sse", "cannot change its channels"},
		{"resume --wire sse", "nothing can be resumed"},
		{"resume --ephemeral", "nothing can be resumed"},
		{"slow --rate 0", "--rate"},
		{"connect --concurrency 0", "--concurrency"},
		{"publish --batch 5000", "--batch"},
		{"channels --publishers 0", "--publishers"},
	} {
		sh := &shell{}
		args := strings.Fields(c.args)
		if !strings.Contains(c.args, "--pid") {
			args = append(args, "--pid", strconv.Itoa(os.Getpid()))
		}
		if !strings.Contains(c.args, "--url") {
			args = append(args, "--url", s.URL)
		}
		err := sh.run(t.Context(), append(args, "--account-token", s.AccountToken)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want one with %q", c.args, err, c.want)
			continue
		}
		if f, ok := errors.AsType[*bench.Failure](err); ok {
			if remedy, usage := f.Advice(); remedy == "" || !usage {
				t.Errorf("%s: the failure %+v has no remedy, or does not blame the command line", c.args, f)
			}
		} else if !strings.Contains(c.args, "--wire") { // which kong checks
			t.Errorf("%s: %T is no Failure", c.args, err)
		}
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	err := (&shell{}).run(t.Context(), "fanout", "--url", s.URL, "--key", s.SecretKey)
	f, ok := errors.AsType[*bench.Failure](err)
	if !ok || !strings.Contains(f.Message, "nothing listens at "+s.URL) || !strings.Contains(f.Remedy, "fanfare serve") {
		t.Errorf("the error is %v", err)
	}
}

func TestNoKey(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	err := (&shell{}).run(t.Context(), "fanout", "--url", s.URL)
	if f, ok := errors.AsType[*bench.Failure](err); !ok || !f.Usage || !strings.Contains(f.Message, "account token") {
		t.Errorf("the error is %v", err)
	}
}

// watcher closes seen when the progress line says want.
type watcher struct {
	mu   sync.Mutex
	want string
	seen chan struct{}
	done bool
}

func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done && bytes.Contains(b, []byte(w.want)) {
		w.done = true
		close(w.seen)
	}
	return len(b), nil
}

// TestServerGoes: a server that stops in the middle of a run makes it fail
// soon, with what was missing, and not hang.
func TestServerGoes(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	w := &watcher{want: "messages/s", seen: make(chan struct{})}
	sh := &shell{terminal: true, stderr: w}
	done := make(chan error, 1)
	go func() {
		done <- sh.run(t.Context(), "fanout", "--url", s.URL, "--key", s.SecretKey, "--subscribers", "10", "--duration", "5m", "--rate", "50")
	}()
	select {
	case <-w.seen:
	case err := <-done:
		t.Fatalf("the run ended: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, bench.ErrFailed) {
		t.Fatalf("the error is %v, want ErrFailed", err)
	}
	if text := sh.out.String(); !strings.Contains(text, "FAILED: ") || !strings.Contains(text, "connections were ended") {
		t.Errorf("the report says:\n%s", text)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	w := &watcher{want: "messages/s", seen: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		sh := &shell{terminal: true, stderr: w}
		done <- sh.run(ctx, "fanout", "--url", s.URL, "--account-token", s.AccountToken, "--subscribers", "10", "--duration", "5m", "--rate", "50")
	}()
	select {
	case <-w.seen:
	case err := <-done:
		t.Fatalf("the run ended: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
