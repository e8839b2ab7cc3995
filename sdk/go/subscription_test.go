package fanfare_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Subscribe returns when the last channel is subscribed, and not before.
func TestSubscribeWaitsForAllChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newClient(t, "http://h/base", publishableKey, fanfare.WithHTTPClient(&http.Client{Transport: f, Timeout: time.Nanosecond}))
		returned := make(chan *fanfare.Subscription, 1)
		go func() {
			sub, err := c.Subscribe(t.Context(), "a", "b:1&x=y", "a", "订单")
			if err != nil {
				t.Error(err)
			}
			returned <- sub
		}()
		k := f.next(t)
		if got := k.req.URL.Query()["channel"]; cmp.Diff([]string{"a", "b:1&x=y", "订单"}, got) != "" || k.req.URL.Path != "/base/v1/sse" {
			t.Errorf("asked for %q at %s", got, k.req.URL.Path)
		}
		if k.req.Header.Get("Authorization") != "Bearer "+publishableKey || strings.Contains(k.req.URL.RawQuery, "ff") {
			t.Errorf("the credential went as %v, %s", k.req.Header, k.req.URL)
		}
		k.begin().write("event: welcome\ndata: {\"type\":\"welcome\"}\n\n")
		k.subscribed("a", "")
		k.message("early", "")
		k.subscribed("订单", "")
		k.subscribed("a", "")
		synctest.Wait()
		select {
		case <-returned:
			t.Fatal("Subscribe returned before b was subscribed")
		default:
		}
		k.subscribed("b:1&x=y", "")
		sub := <-returned
		defer sub.Close()
		if got := take(t, sub, 1); got[0] != "early" {
			t.Errorf("got %v", got)
		}
	})
}

// claims: 1.8
func TestSubscriptionIgnoresWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub, k := subscribed(t, newFake())
		k.write(": comment\n\nevent: from_the_future\ndata: no JSON even\n\nretry: 1\nfield: x\n\nevent: subscribed\ndata: {\"type\":\"subscribed\",\"channel\":\"other\",\"new\":[1]}\n\n")
		k.write("data: {\"type\":\"message\",\"channel\":\"a\",\"id\":\"1\",\"position\":\"e:1\",\"previous\":\"e:0\",\"time\":1764000000000,\"event\":\"paid\",\"user\":\"u\",\"data\":{\"n\":12345678901234567890},\"new\":{}}\n\n")
		for m, err := range sub.All() {
			want := protocol.Message{
				Type: "message", Channel: "a", ID: "1", Position: "e:1", Previous: "e:0", Time: 1764000000000,
				Event: "paid", User: "u", Data: json.RawMessage(`{"n":12345678901234567890}`),
			}
			if diff := cmp.Diff(want, m); diff != "" || err != nil {
				t.Error(err, diff)
			}
			break
		}
	})
}

func TestSubscribeChecksFirst(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", publishableKey)
	_, err := c.Subscribe(t.Context())
	wantCode(t, err, protocol.CodeBadRequest)
	_, err = c.Subscribe(t.Context(), "a", "")
	if e := wantCode(t, err, protocol.CodeChannelInvalid); e.Index != 1 {
		t.Errorf("index is %d", e.Index)
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	_, err = c.Subscribe(t.Context(), many...)
	wantCode(t, err, protocol.CodeChannelLimit)
}

// The first connection is tried once: whoever subscribes learns at once what
// is wrong.
func TestSubscribeFails(t *testing.T) {
	for name, tt := range map[string]struct {
		first func(*conn)
		want  func(error) bool
	}{
		"not granted": {func(c *conn) {
			c.refuse(403, problemJSON, `{"code":"not_granted","detail":"D.","remedy":"R.","channel":"a"}`)
		}, func(err error) bool { return errors.Is(err, protocol.NewError(protocol.CodeNotGranted)) }},
		"restarting": {func(c *conn) {
			c.refuse(503, problemJSON, `{"code":"restarting","detail":"D.","remedy":"R."}`)
		}, func(err error) bool { return errors.Is(err, protocol.NewError(protocol.CodeRestarting)) }},
		"closed before it began": {func(c *conn) { c.begin().closing(protocol.CodeOverloaded, 4100) },
			func(err error) bool { return errors.Is(err, protocol.NewError(protocol.CodeOverloaded)) }},
		"a page":  {func(c *conn) { c.refuse(200, "text/html", "x") }, func(err error) bool { return isBreak(err, "Check the URL") }},
		"broken":  {func(c *conn) { _ = c.begin().w.Close() }, func(err error) bool { return isBreak(err, "unexpected EOF") }},
		"silent":  {func(c *conn) { c.begin() }, func(err error) bool { return isBreak(err, "silent") }},
		"no word": {func(*conn) {}, func(err error) bool { return isBreak(err, "silent") }},
		"no JSON": {func(c *conn) { c.begin().write("event: welcome\ndata: {\n\n") }, func(err error) bool { return isBreak(err, "welcome") }},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			f := newFake()
			sub, err := subscribeTo(t, f, tt.first)
			if sub != nil || !tt.want(err) {
				t.Fatalf("got %v, %v", sub, err)
			}
			f.none(t)
		}))
	}
}

// A stream that breaks is resumed where it stopped, and the reader is told
// what could not be brought back, at its place among the messages.
func TestSubscriptionResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var seen []string
		sub, k := subscribed(t, f, fanfare.WithOnGap(func(ch protocol.Channel, reason string) { seen = append(seen, "gap:"+string(ch)+":"+reason) }))
		if k.req.Header.Get("Last-Event-ID") != "" {
			t.Error("the first request has a Last-Event-ID")
		}
		k.message("1", "e:1")
		k.message("2", "e:2")
		k.write("id: e:3\ndata: {\"type\":\"mess") // cut off: it never came
		_ = k.w.Close()

		k = f.next(t)
		if got := k.req.Header.Get("Last-Event-ID"); got != "e:2" {
			t.Errorf("resumed after %q", got)
		}
		k.begin().write("event: welcome\ndata: {}\n\n")
		k.subscribed("a", `,"recovered":true`)
		k.message("3", "e:3")
		k.message("4", "") // ephemeral: says nothing of where to resume
		_ = k.w.Close()

		k = f.next(t)
		if got := k.req.Header.Get("Last-Event-ID"); got != "e:3" {
			t.Errorf("resumed after %q", got)
		}
		k.begin().write("event: welcome\ndata: {}\n\n")
		k.subscribed("a", `,"recovered":false,"reason":"evicted"`)
		k.message("9", "e:9")
		for m, err := range sub.All() {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, m.ID); m.ID == "9" {
				break
			}
		}
		if diff := cmp.Diff([]string{"1", "2", "3", "4", "gap:a:evicted", "9"}, seen); diff != "" {
			t.Error(diff)
		}
	})
}

// The client does after each close code what the vectors say.
//
// claims: 6.4 6.5 7.6
func TestSubscriptionHonoursCloseCodes(t *testing.T) {
	raw, err := os.ReadFile("../protocol/vectors/closes.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Close              int
			Code               protocol.Code
			Client             string
			WithoutTokenSource string `json:"without_token_source"`
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	source := fanfare.WithTokenSource(func(context.Context) (string, error) { return "a.b.c", nil })
	for _, c := range v.Cases {
		if c.Close < 4000 {
			continue // streams have none of these
		}
		for _, opts := range [][]fanfare.Option{nil, {source}} {
			want := c.Client
			if opts == nil && c.WithoutTokenSource != "" {
				want = c.WithoutTokenSource
			}
			t.Run(fmt.Sprint(c.Close, "/source=", opts != nil), inBubble(func(t *testing.T) {
				f := newFake()
				sub, k := subscribed(t, f, opts...)
				k.message("1", "")
				start := time.Now()
				k.closing(c.Code, c.Close)
				if want == "never" {
					f.none(t)
					if got := take(t, sub, 1); got[0] != "1" {
						t.Errorf("got %v", got)
					}
					err := end(t, sub)
					if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Code != c.Code || e.Message != "M." || e.Remedy != "R." {
						t.Errorf("ended with %v", err)
					}
					return
				}
				k = f.next(t)
				took := k.at.Sub(start)
				if (want == "now" && took != 0) || (want == "backoff" && (took == 0 || took > 500*time.Millisecond)) {
					t.Errorf("came back after %v, want %s", took, want)
				}
				k.open()
			}))
		}
	}
}

// What is refused when it comes back: for good, or not.
//
// claims: 6.4 6.5
func TestSubscriptionComesBackAfterRefusals(t *testing.T) {
	source := fanfare.WithTokenSource(func(context.Context) (string, error) { return "a.b.c", nil })
	said := func(status int, code string) func(*conn) {
		return func(c *conn) {
			c.refuse(status, problemJSON, fmt.Sprintf(`{"code":%q,"detail":"D.","remedy":"R."}`, code))
		}
	}
	for name, tt := range map[string]struct {
		refuse func(*conn)
		opts   []fanfare.Option
		never  bool
	}{
		"key revoked":                   {said(401, "key_expired"), nil, true},
		"not granted any more":          {said(403, "not_granted"), nil, true},
		"app gone":                      {said(404, "app_not_found"), nil, true},
		"token expired":                 {said(401, "token_expired"), nil, true},
		"token expired, with a source":  {said(401, "token_expired"), []fanfare.Option{source}, false},
		"restarting":                    {said(503, "restarting"), nil, false},
		"too many connections":          {said(429, "connection_limit"), nil, false},
		"internal":                      {said(500, "internal"), nil, false},
		"rate":                          {said(429, "subscribe_rate"), nil, false},
		"a gateway's word":              {func(c *conn) { c.refuse(404, "text/html", "x") }, nil, false},
		"a code of a newer server":      {said(503, "from_the_future"), nil, false},
		"a close before welcome":        {func(c *conn) { c.begin().closing(protocol.CodeRestarting, 4200) }, nil, false},
		"no connection":                 {func(c *conn) { c.answer <- func() (*http.Response, error) { return nil, refusedDial() } }, nil, false},
		"an event that is far too long": {func(c *conn) { c.open(); go c.writeAnyway("data: " + strings.Repeat("x", 2<<20)) }, nil, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			f := newFake()
			sub, k := subscribed(t, f, tt.opts...)
			_ = k.w.Close()
			k = f.next(t)
			failed := time.Now()
			tt.refuse(k)
			if tt.never {
				f.none(t)
				if _, ok := errors.AsType[*protocol.Error](end(t, sub)); !ok {
					t.Error("the end is no *protocol.Error")
				}
				return
			}
			k = f.next(t)
			if took := k.at.Sub(failed); took == 0 || took > time.Second {
				t.Errorf("came back after %v", took)
			}
			k.open().message("1", "")
			if got := take(t, sub, 1); got[0] != "1" {
				t.Errorf("got %v", got)
			}
		}))
	}
}

func TestSubscriptionWaitsAsLongAsItIsTold(t *testing.T) {
	for closeCode, code := range map[int]protocol.Code{4200: protocol.CodeRestarting, 4100: protocol.CodeOverloaded} {
		t.Run(string(code), inBubble(func(t *testing.T) {
			f := newFake()
			_, k := subscribed(t, f)
			start := time.Now()
			k.write(fmt.Sprintf("event: close\ndata: {\"type\":\"close\",\"close\":%d,\"code\":%q,\"message\":\"M.\",\"remedy\":\"R.\",\"retry_after\":7000}\n\n", closeCode, code))
			if k = f.next(t); k.at.Sub(start) != 7*time.Second {
				t.Errorf("came back after %v", k.at.Sub(start))
			}
			k.open()
		}))
	}
}

// Waits grow while the server is away, and begin anew after a good connection.
//
// claims: 6.6
func TestSubscriptionBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		_, k := subscribed(t, f)
		_ = k.w.Close()
		last, total := time.Now(), time.Duration(0)
		for n := range 40 {
			k = f.next(t)
			took, most := k.at.Sub(last), 30*time.Second
			if n < 6 {
				most = 500 * time.Millisecond << n
			}
			if took > most {
				t.Errorf("failure %d: came back after %v, at most %v", n, took, most)
			}
			if n >= 6 {
				total += took
			}
			k.refuse(503, "text/plain", "")
			last = time.Now()
		}
		// 34 waits of 15 s on average: less than a third, or none of them
		// above, has no chance to come by luck.
		if total < 34*5*time.Second {
			t.Errorf("34 late waits were %v together", total)
		}
		k = f.next(t).open()
		_ = k.w.Close()
		last = time.Now()
		if k = f.next(t); k.at.Sub(last) > 500*time.Millisecond {
			t.Errorf("came back after %v", k.at.Sub(last))
		}
		k.open()
	})
}

// A server that sends everybody away at once is not met with a storm.
func TestSubscriptionDoesNotStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		_, k := subscribed(t, f)
		atOnce := 0
		start := time.Now()
		for range 50 {
			k.closing(protocol.CodeRestarting, 4200)
			before := time.Now()
			if k = f.next(t).open(); k.at.Equal(before) {
				atOnce++
			}
		}
		if most := 2 + int(time.Since(start)/time.Second); atOnce < 1 || atOnce > most {
			t.Errorf("came back at once %d times within %v", atOnce, time.Since(start))
		}
	})
}

// claims: 6.5
func TestSubscriptionAsksTheTokenSourceAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		n := 0
		_, k := subscribed(t, f, fanfare.WithTokenSource(func(context.Context) (string, error) {
			if n++; n == 2 {
				return "", errors.New("no luck")
			}
			return fmt.Sprint("token", n), nil
		}))
		if got := k.req.Header.Get("Authorization"); got != "Bearer token1" {
			t.Errorf("got %q", got)
		}
		k.closing(protocol.CodeTokenExpired, 4201)
		k = f.next(t) // a source that fails is asked again later
		if got := k.req.Header.Get("Authorization"); got != "Bearer token3" {
			t.Errorf("got %q", got)
		}
		k.open()
	})
}

func (c *conn) writeAnyway(text string) { _, _ = c.w.Write([]byte(text)) }
