package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
)

// peer is a small server that speaks one of the other wires. fault, if any,
// turns each message into what its subscriber n gets instead.
type peer struct {
	mu    sync.Mutex
	wire  string
	subs  map[string][]chan string // by channel
	fault func(n, seq int, text string) []string
	seq   int
}

func startPeer(t *testing.T, wire string, fault func(n, seq int, text string) []string) string {
	p := &peer{wire: wire, subs: map[string][]chan string{}, fault: fault}
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for _, m := range p.published(r, body) {
			p.publish(m.channel, m.text)
		}
		fmt.Fprint(w, "{}")
		return
	}
	// A plain client takes the answer for its subscription, so the queue is
	// there before.
	channel := r.URL.Query().Get("id")
	messages := p.join(r.Context(), channel)
	if p.wire == "nchan-sse" {
		w.Header().Set("Content-Type", "text/event-stream")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		for text := range messages {
			// Cut in two, as a chunk may.
			for _, half := range []string{"id: 1\ndata: " + text[:20], text[20:] + "\n\n"} {
				if _, err := io.WriteString(w, half); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
			}
		}
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	say := func(text string) bool { return conn.Write(ctx, websocket.MessageText, []byte(text)) == nil }
	switch p.wire {
	case "centrifuge", "pusher":
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		_, rest, _ := strings.Cut(string(text), `"channel":"`)
		channel, _, _ = strings.Cut(rest, `"`)
		defer p.keepUp(ctx, conn, cancel)()
		messages = p.join(ctx, channel)
	default:
		ctx = conn.CloseRead(ctx)
	}
	switch p.wire {
	case "centrifuge":
		say(`{"id":1,"connect":{"client":"a","ping":25,"pong":true}}` + "\n" + `{"id":2,"subscribe":{}}`)
		say("{}")
	case "pusher":
		say(`{"event":"pusher:connection_established","data":"{}"}`)
		say(`{"event":"pusher_internal:subscription_succeeded","channel":"` + channel + `","data":"{}"}`)
		say(`{"event":"pusher:ping","data":"{}"}`)
	}
	for text := range messages {
		switch p.wire {
		case "centrifuge":
			text = `{"push":{"channel":"` + channel + `","pub":{"data":` + text + `}}}`
		case "pusher":
			text = `{"event":"bench","channel":"` + channel + `","data":` + strconv.Quote(text) + `}`
		}
		if text == "close" || !say(text) {
			return
		}
	}
}

// keepUp reads until the client has answered the ping, and then until the end.
func (p *peer) keepUp(ctx context.Context, conn *websocket.Conn, cancel func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		for {
			if _, text, err := conn.Read(ctx); err != nil || string(text) != "{}" && string(text) != `{"event":"pusher:pong","data":{}}` {
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// join is the messages of a channel until ctx ends.
func (p *peer) join(ctx context.Context, channel string) func(yield func(string) bool) {
	queue := make(chan string, 1024)
	p.mu.Lock()
	p.subs[channel] = append(p.subs[channel], queue)
	p.mu.Unlock()
	return func(yield func(string) bool) {
		for {
			select {
			case text := <-queue:
				if !yield(text) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (p *peer) publish(channel, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	for n, queue := range p.subs[channel] {
		list := []string{text}
		if p.fault != nil {
			list = p.fault(n, p.seq, text)
		}
		for _, text := range list {
			queue <- text
		}
	}
}

type note struct{ channel, text string }

// published reads what a wire publishes.
func (p *peer) published(r *http.Request, body []byte) (list []note) {
	type one struct {
		Channel string
		Data    json.RawMessage
	}
	var b struct {
		one
		Commands []struct{ Publish one }
		Batch    []one
	}
	if err := json.Unmarshal(body, &b); err != nil { // a plain body is a string
		return []note{{r.URL.Query().Get("id"), string(body)}}
	}
	for _, c := range b.Commands {
		b.Batch = append(b.Batch, c.Publish)
	}
	if b.Channel != "" {
		b.Batch = append(b.Batch, b.one)
	}
	for _, o := range b.Batch {
		text := string(o.Data)
		if p.wire == "pusher" { // its data is a string with JSON in it
			if !signed(r, body) || json.Unmarshal(o.Data, &text) != nil {
				continue
			}
		}
		list = append(list, note{o.Channel, text})
	}
	return list
}

func wireArgs(wire, url string) []string {
	args := []string{"--wire", wire, "--url", url, "--pid", strconv.Itoa(os.Getpid())}
	if wire == "pusher" {
		args = append(args, "--pusher", "7:key:secret")
	}
	return args
}

// TestWires: each wire delivers, alone and in batches.
func TestWires(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{"plain", "nchan", "nchan-sse", "centrifuge", "pusher"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			url := startPeer(t, wire, nil)
			for _, command := range []string{
				"fanout --subscribers 5 --rate 200 --duration 100ms --warm 10ms",
				"channels --channels 5 --publishers 2 --batch 3 --duration 50ms --warm 10ms",
			} {
				sh := &shell{}
				if err := sh.run(t.Context(), append(strings.Fields(command), wireArgs(wire, url)...)...); err != nil {
					t.Errorf("%s: %v\n%s", command, err, sh.out.String())
				}
			}
		})
	}
	s := brokertest.Start(t)
	r := measure(t, s, "fanout", "--wire", "sse", "--subscribers", "10", "--rate", "100", "--duration", "300ms", "--warm", "50ms")
	if r.Runs[0].Figures["delivered"] != 300 {
		t.Errorf("SSE delivered %v, want 300", r.Runs[0].Figures["delivered"])
	}
}

// TestFaultsAreFound: a server that loses, doubles, mixes up or ends is told
// so, whatever its figures are.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	held := ""
	for _, c := range []struct {
		name, want string
		fault      func(n, seq int, text string) []string
	}{
		{"loses one", "1 of 60 messages are missing", func(n, seq int, text string) []string {
			if n == 1 && seq == 5 {
				return nil
			}
			return []string{text}
		}},
		{"loses the last", "2 of 60 messages are missing", func(n, seq int, text string) []string {
			if n < 2 && seq == 20 {
				return nil
			}
			return []string{text}
		}},
		{"doubles one", "1 messages came twice", func(n, seq int, text string) []string {
			if n == 2 && seq == 9 {
				return []string{text, text}
			}
			return []string{text}
		}},
		{"swaps two", "out of order", func(n, seq int, text string) []string {
			switch {
			case n == 0 && seq == 3:
				held = text
				return nil
			case n == 0 && seq == 4:
				return []string{text, held}
			}
			return []string{text}
		}},
		{"mixes up runs", "to the wrong subscriber", func(_, seq int, text string) []string {
			if seq == 7 {
				return []string{text, `"BENCH!00000000` + text[15:]}
			}
			return []string{text}
		}},
		{"ends a connection", "1 connections were ended", func(n, seq int, text string) []string {
			if n == 1 && seq == 8 {
				return []string{"close"}
			}
			return []string{text}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sh := &shell{}
			args := strings.Fields("fanout --subscribers 3 --rate 100 --duration 150ms --warm 50ms")
			err := sh.run(t.Context(), append(args, wireArgs("plain", startPeer(t, "plain", c.fault))...)...)
			if !errors.Is(err, bench.ErrFailed) || !strings.Contains(sh.out.String(), "FAILED: ") || !strings.Contains(sh.out.String(), c.want) {
				t.Errorf("%v, want ErrFailed and %q:\n%s", err, c.want, sh.out.String())
			}
		})
	}
}

// TestRefusals: what a server says when it refuses is shown.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	for _, c := range []struct{ args, want string }{
		{"fanout --wire plain", "nothing at this address"},
		{"fanout --wire centrifuge", "nothing at this address"},
		{"fanout --wire pusher --pusher 7:key", "credentials"},
		{"fanout --key ffs_wrong", "key"},
		{"fanout --key " + s.PublishableKey, "publish"},
	} {
		sh := &shell{}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := sh.run(ctx, append(strings.Fields(c.args), "--url", s.URL, "--subscribers", "2", "--duration", "100ms", "--warm", "10ms")...)
		cancel()
		if err == nil || !strings.Contains(err.Error()+sh.out.String(), c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.args, err, c.want, sh.out.String())
		}
	}
}
