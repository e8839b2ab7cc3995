package fanfare_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// noLeak fails a test that leaves goroutines behind.
func noLeak(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	})
}

// sent is a message as a fake server gets it.
type sent struct {
	Channel string          `json:"channel"`
	ID      string          `json:"id"`
	Event   string          `json:"event"`
	Data    json.RawMessage `json:"data"`
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// problem answers as PROTOCOL.md, clause 9.2, has it.
func problem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestPublish(t *testing.T) {
	noLeak(t)
	var got sent
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/messages" || r.Header.Get("Authorization") != "Bearer "+secretKey {
			t.Errorf("got %s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, `{"id":%q,"position":"e:7","later":true}`, got.ID)
	})
	c := newClient(t, url+"/", secretKey)
	p, err := c.Publish(t.Context(), "orders:42", json.RawMessage(`{"b": 12345678901234567890, "a":"<&>"}`), fanfare.Event("paid"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.ID) < 20 || protocol.CheckID(got.ID) != nil {
		t.Errorf("the client made the id %q", got.ID)
	}
	want := sent{"orders:42", got.ID, "paid", json.RawMessage(`{"b":12345678901234567890,"a":"<&>"}`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(protocol.Published{Channel: "orders:42", ID: got.ID, Position: "e:7"}, p); diff != "" {
		t.Error(diff)
	}

	first := got.ID
	if _, err := c.Publish(t.Context(), "orders:42", nil); err != nil {
		t.Fatal(err)
	}
	if got.ID == first || string(got.Data) != "null" {
		t.Errorf("got id %q again, or data %s", got.ID, got.Data)
	}
	if p, err := c.Publish(t.Context(), "a", 1, fanfare.ID("mine")); err != nil || p.ID != "mine" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// What the server would refuse is refused without asking it.
func TestPublishChecksFirst(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", secretKey)
	_, err := c.Publish(t.Context(), "", 1)
	wantCode(t, err, protocol.CodeChannelInvalid)
	_, err = c.Publish(t.Context(), "a", 1, fanfare.Event("a\n"))
	wantCode(t, err, protocol.CodeEventInvalid)
	_, err = c.Publish(t.Context(), "a", 1, fanfare.ID("a b"))
	wantCode(t, err, protocol.CodeIDInvalid)
	_, err = c.Publish(t.Context(), "a", func() {})
	if _, ok := errors.AsType[*json.UnsupportedTypeError](err); !ok {
		t.Errorf("got %v", err)
	}
	_, err = c.PublishAll(t.Context(), fanfare.Message{Channel: "a"}, fanfare.Message{Channel: "\n"})
	if e := wantCode(t, err, protocol.CodeChannelInvalid); e.Index != 1 {
		t.Errorf("index is %d", e.Index)
	}
}

func TestPublishRefused(t *testing.T) {
	noLeak(t)
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "2")
		problem(w, 429, `{"type":"urn:x","title":"T.","status":429,"detail":"Too fast.","code":"publish_rate","remedy":"Wait.","channel":"a","index":3}`)
	})
	_, err := newClient(t, url, secretKey).Publish(t.Context(), "a", 1)
	want := &protocol.Error{Code: "publish_rate", Message: "Too fast.", Remedy: "Wait.", Channel: "a", Index: 3, RetryAfter: 2 * time.Second}
	if diff := cmp.Diff(want, protocol.AsError(err)); diff != "" {
		t.Error(diff)
	}
	if asked.Load() != 1 {
		t.Errorf("the request was sent %d times", asked.Load())
	}
}

func TestPublishToAStranger(t *testing.T) {
	noLeak(t)
	for name, h := range map[string]http.HandlerFunc{
		"a page":           func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hush") },
		"a gateway's word": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hush", http.StatusBadGateway) },
		"a redirect":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/hush", http.StatusFound) },
		"other JSON": func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 404, `{"title":"hush"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, h)
			_, err := newClient(t, url, secretKey).Publish(t.Context(), "a", 1)
			if err == nil || !strings.Contains(err.Error(), url) || !strings.Contains(err.Error(), "Check the URL") || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
			if _, ok := errors.AsType[*protocol.Error](err); ok {
				t.Error("a stranger's answer is no *protocol.Error")
			}
		})
	}
}

func TestPublishAllSplits(t *testing.T) {
	noLeak(t)
	var sizes []int
	var refuse atomic.Int32
	refuse.Store(-1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Messages []sent }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(body.Messages))
		if int(refuse.Load()) == len(sizes)-1 {
			problem(w, 403, `{"code":"not_granted","detail":"No.","remedy":"Grant.","index":5,"channel":"c"}`)
			return
		}
		var answer struct {
			Messages []protocol.Published `json:"messages"`
		}
		for _, m := range body.Messages {
			answer.Messages = append(answer.Messages, protocol.Published{Channel: protocol.Channel(m.Channel), ID: m.ID})
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	c := newClient(t, url, secretKey)
	msgs := make([]fanfare.Message, 2345)
	for i := range msgs {
		msgs[i] = fanfare.Message{Channel: "c", Data: i, ID: fmt.Sprint(i)}
	}
	published, err := c.PublishAll(t.Context(), msgs...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1000, 1000, 345}, sizes); diff != "" {
		t.Error(diff)
	}
	for i, p := range published {
		if p.ID != fmt.Sprint(i) {
			t.Fatalf("answer %d is about message %s", i, p.ID)
		}
	}
	if len(published) != len(msgs) {
		t.Errorf("got %d answers", len(published))
	}

	sizes = nil
	refuse.Store(1)
	published, err = c.PublishAll(t.Context(), msgs...)
	if e := wantCode(t, err, protocol.CodeNotGranted); e.Index != 1005 || len(published) != 1000 {
		t.Errorf("got index %d and %d published", e.Index, len(published))
	}

	// Requests stay below 1 MiB, but for a message that is larger alone.
	sizes = nil
	refuse.Store(-1)
	big := strings.Repeat("x", 400<<10)
	if _, err := c.PublishAll(t.Context(), fanfare.Message{Channel: "c", Data: big}, fanfare.Message{Channel: "c", Data: big},
		fanfare.Message{Channel: "c", Data: big + big + big}, fanfare.Message{Channel: "c", Data: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2, 1, 1}, sizes); diff != "" {
		t.Error(diff)
	}
	if published, err := c.PublishAll(t.Context()); err != nil || len(published) != 0 {
		t.Errorf("nothing: got %v, %v", published, err)
	}
}

// trip is an http.RoundTripper that is a function: no network, so that tests
// with it run on synctest's clock.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, kind, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

const problemJSON = "application/problem+json"

func refusedDial() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

func TestPublishRepeatsWhatWasNotAnswered(t *testing.T) {
	unavailable := func() (*http.Response, error) {
		return answer(503, problemJSON, `{"code":"restarting","detail":"D.","remedy":"R.","retry_after":1000}`), nil
	}
	tests := []struct {
		name  string
		fail  func() (*http.Response, error)
		batch bool
		want  int // tries
	}{
		{"no connection", func() (*http.Response, error) { return nil, refusedDial() }, false, 4},
		{"no connection, batch", func() (*http.Response, error) { return nil, refusedDial() }, true, 4},
		{"unavailable", unavailable, false, 4},
		{"unavailable, batch", unavailable, true, 4},
		{"unavailable for long", func() (*http.Response, error) {
			return answer(503, problemJSON, `{"code":"overloaded","detail":"D.","remedy":"R.","retry_after":60000}`), nil
		}, false, 1},
		{"the connection broke", func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, false, 4},
		{"the connection broke, batch", func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, true, 4},
		{"a gateway's word", func() (*http.Response, error) { return answer(502, "text/html", "x"), nil }, false, 4},
		{"a fault of the server's", func() (*http.Response, error) {
			return answer(500, problemJSON, `{"code":"internal","detail":"D.","remedy":"R."}`), nil
		}, false, 1},
		{"too fast", func() (*http.Response, error) {
			return answer(429, problemJSON, `{"code":"publish_rate","detail":"D.","remedy":"R."}`), nil
		}, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ids []string
				rt := trip(func(r *http.Request) (*http.Response, error) {
					raw, err := io.ReadAll(r.Body)
					if err != nil {
						return nil, err
					}
					ids = append(ids, string(raw))
					return tt.fail()
				})
				c := newClient(t, "http://h", secretKey, fanfare.WithHTTPClient(&http.Client{Transport: rt}))
				var err error
				if tt.batch {
					_, err = c.PublishAll(t.Context(), fanfare.Message{Channel: "a"}, fanfare.Message{Channel: "b"})
				} else {
					_, err = c.Publish(t.Context(), "a", 1)
				}
				if err == nil || len(ids) != tt.want {
					t.Fatalf("%d tries, %v; want %d", len(ids), err, tt.want)
				}
				first := strings.ReplaceAll(ids[0], `"first":true,`, "") // which is said once
				for _, id := range ids[1:] {
					if id != first || id == ids[0] {
						t.Errorf("a repeated request differs: %s, %s", ids[0], id)
					}
				}
				if told := strings.Contains(err.Error(), "is unknown"); told != (strings.HasPrefix(tt.name, "the connection broke") || tt.name == "a gateway's word") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestPublishSucceedsAtTheSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := trip(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return nil, refusedDial()
			}
			return answer(200, "application/json", `{"id":"x","position":""}`), nil
		})
		c := newClient(t, "http://h", secretKey, fanfare.WithHTTPClient(&http.Client{Transport: rt}))
		if p, err := c.Publish(t.Context(), "a", 1); err != nil || p.ID != "x" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

// The context ends the waiting, and a wait that would outlast it is not begun.
func TestPublishKeepsToTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		rt := trip(func(*http.Request) (*http.Response, error) {
			tries++
			return answer(503, problemJSON, `{"code":"unavailable","detail":"D.","remedy":"R.","retry_after":4000}`), nil
		})
		c := newClient(t, "http://h", secretKey, fanfare.WithHTTPClient(&http.Client{Transport: rt}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Publish(ctx, "a", 1)
		wantCode(t, err, protocol.CodeUnavailable)
		if tries != 1 || time.Since(start) != 0 {
			t.Errorf("%d tries in %v", tries, time.Since(start))
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		_, err = c.Publish(ctx, "a", 1)
		wantCode(t, err, protocol.CodeUnavailable)
		if tries != 2 || time.Since(start) != time.Second {
			t.Errorf("%d tries in %v", tries, time.Since(start))
		}
	})
}

func TestUnreachable(t *testing.T) {
	noLeak(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, url, secretKey)
	_, err = c.Subscribe(t.Context(), "hush")
	if err == nil || !strings.Contains(err.Error(), url) || !strings.Contains(err.Error(), "Check that it runs") || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Publish(ctx, "a", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTokenSource(t *testing.T) {
	noLeak(t)
	var got []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"id":"x","position":""}`)
	})
	n := 0
	c := newClient(t, url, "", fanfare.WithTokenSource(func(context.Context) (string, error) {
		if n++; n == 3 {
			return "", errors.New("no luck")
		}
		return fmt.Sprint("token", n), nil
	}))
	for range 2 {
		if _, err := c.Publish(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"Bearer token1", "Bearer token2"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Publish(t.Context(), "a", 1); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("got %v", err)
	}
}
