package fanfare_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// patience is how long a test waits for what must come: only a fault makes it
// wait so long.
const patience = 20 * time.Second

// takeAll reads n messages, as channel and data, within patience.
func takeAll(t *testing.T, sub *fanfare.Subscription, n int) (got []string) {
	t.Helper()
	timer := time.AfterFunc(patience, sub.Close)
	defer timer.Stop()
	for m, err := range sub.All() {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, fmt.Sprintf("%s %s", m.Channel, m.Data)); len(got) == n {
			return got
		}
	}
	t.Fatalf("only %d of %d messages came: %q", len(got), n, got)
	return nil
}

func TestBrokerPublishAndSubscribe(t *testing.T) {
	s := brokertest.Start(t)
	server, page := newClient(t, s.URL, s.SecretKey), newClient(t, s.URL, s.PublishableKey)
	sub, err := page.Subscribe(t.Context(), "orders:42", "订单:*")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()

	data := `{"b":12345678901234567890,"a":"<&>"}`
	p, err := server.Publish(t.Context(), "orders:42", json.RawMessage(data), fanfare.Event("paid"), fanfare.ID("id-1"))
	if err != nil || p.ID != "id-1" || p.Channel != "orders:42" {
		t.Fatalf("got %+v, %v", p, err)
	}
	for m, err := range sub.All() {
		if err != nil {
			t.Fatal(err)
		}
		if m.Channel != "orders:42" || m.ID != "id-1" || m.Event != "paid" || string(m.Data) != data || time.Since(time.UnixMilli(m.Time)).Abs() > time.Minute {
			t.Errorf("got %+v", m)
		}
		break
	}

	msgs := make([]fanfare.Message, 2200)
	want := map[string][]string{} // in order within each channel
	for i := range msgs {
		ch := []string{"orders:42", "订单:*"}[i%2]
		msgs[i] = fanfare.Message{Channel: ch, Data: i}
		want[ch] = append(want[ch], fmt.Sprint(i))
	}
	// Published while they are read: nobody promises to keep so many for a
	// client that does not read.
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		published, err := server.PublishAll(t.Context(), msgs...)
		if err != nil || len(published) != len(msgs) {
			t.Errorf("published %d, %v", len(published), err)
		}
	})
	got := map[string][]string{}
	for _, line := range takeAll(t, sub, len(msgs)) {
		ch, data, _ := strings.Cut(line, " ")
		got[ch] = append(got[ch], data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A token that the client signs is one that the server takes, and no more
// than it grants.
func TestBrokerToken(t *testing.T) {
	s := brokertest.Start(t)
	server := newClient(t, s.URL, s.SecretKey)
	user := newClient(t, s.URL, "", fanfare.WithTokenSource(func(context.Context) (string, error) {
		return server.Token("user-7", protocol.Grants{Subscribe: []string{"room:*"}, Publish: []string{"room:1"}}, time.Minute)
	}))
	sub, err := user.Subscribe(t.Context(), "room:1")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if _, err := user.Publish(t.Context(), "room:1", "hello"); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, sub.Close)
	defer timer.Stop()
	came := false
	for m, err := range sub.All() {
		if err != nil || m.User != "user-7" || string(m.Data) != `"hello"` {
			t.Errorf("got %+v, %v", m, err)
		}
		came = true
		break
	}
	if !came {
		t.Error("the message did not come")
	}
	_, err = user.Publish(t.Context(), "room:2", 1)
	wantCode(t, err, protocol.CodeNotGranted)
	_, err = user.Subscribe(t.Context(), "room:1", "other")
	if e := wantCode(t, err, protocol.CodeNotGranted); e.Channel != "other" {
		t.Errorf("the error is about channel %q", e.Channel)
	}
}

func TestBrokerRefuses(t *testing.T) {
	s := brokertest.Start(t)
	page := newClient(t, s.URL, s.PublishableKey)
	_, err := page.Publish(t.Context(), "a", 1)
	wantCode(t, err, protocol.CodeNotGranted)
	wrong := newClient(t, s.URL, "ffs_0000000000"+s.SecretKey[14:])
	_, err = wrong.Publish(t.Context(), "a", 1)
	wantCode(t, err, protocol.CodeKeyInvalid)
	_, err = wrong.Subscribe(t.Context(), "a")
	wantCode(t, err, protocol.CodeKeyInvalid)
	server := newClient(t, s.URL, s.SecretKey)
	_, err = server.PublishAll(t.Context(), fanfare.Message{Channel: "a"}, fanfare.Message{Channel: "a", Data: make([]int, 50_000)})
	if e := wantCode(t, err, protocol.CodeMessageTooLarge); e.Index != 1 {
		t.Errorf("the error is about message %d", e.Index)
	}
}

// relay carries connections to a server and can cut them all.
type relay struct {
	l     net.Listener
	to    string
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l, to: to, conns: map[net.Conn]bool{}}
	r.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			r.mu.Lock()
			r.conns[in], r.conns[out] = true, true
			r.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				r.wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.cut()
		r.wg.Wait()
	})
	return r
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
	clear(r.conns)
}

// A cut wire is mended without the reader's doing: what was published
// meanwhile comes, once and in order, however early the wire was cut. On a
// channel that keeps nothing the reader is told of a gap.
func TestBrokerComesBackAfterACut(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, `[{"namespace":"none","ephemeral":true}]`)
	r := newRelay(t, s.URL[len("http://"):])
	var gaps []string // by the range below alone
	client := newClient(t, "http://"+r.l.Addr().String(), s.PublishableKey,
		fanfare.WithOnGap(func(ch protocol.Channel, reason string) { gaps = append(gaps, string(ch)+" "+reason) }))
	server := newClient(t, s.URL, s.SecretKey)
	sub, err := client.Subscribe(t.Context(), "a", "none:b")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	var want []string
	for round := range 3 {
		r.cut()
		for n := range 5 {
			data := fmt.Sprint(round, ".", n)
			if _, err := server.Publish(t.Context(), "a", data); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("a %q", data))
		}
		if diff := cmp.Diff(want[5*round:], takeAll(t, sub, 5)); diff != "" {
			t.Fatalf("after cut %d: %s", round, diff)
		}
	}
	for _, g := range gaps {
		if g != "none:b ephemeral" {
			t.Errorf("a gap: %s", g)
		}
	}
	if len(gaps) == 0 {
		t.Error("no gap was told of the ephemeral channel")
	}
}

func setRules(t *testing.T, s *brokertest.Server, rules string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.URL+"/v1/apps/"+s.App, strings.NewReader(`{"rules":`+rules+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.AccountToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("rules: %s", resp.Status)
	}
}

// A server that stops for good is not the end of a subscription: the client
// waits for it to come back, and can be closed all the while.
func TestBrokerStops(t *testing.T) {
	s := brokertest.Start(t)
	client := newClient(t, s.URL, s.PublishableKey)
	sub, err := client.Subscribe(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(500*time.Millisecond, sub.Close)
	defer timer.Stop()
	for m, err := range sub.All() {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err := client.Subscribe(t.Context(), "a"); !isBreak(err, s.URL) {
		t.Errorf("got %v", err)
	}
}
