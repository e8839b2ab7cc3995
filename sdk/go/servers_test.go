package fanfare_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// TestServersAreTriedInTurn: a client keeps to one that answers.
func TestServersAreTriedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		down := map[string]func() (*http.Response, error){
			"a": func() (*http.Response, error) { return nil, refusedDial() },
		}
		rt := trip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			if fail := down[r.URL.Host]; fail != nil {
				return fail()
			}
			return answer(200, "application/json", `{"id":"i","position":""}`), nil
		})
		c := newClient(t, "http://a", secretKey, fanfare.WithHTTPClient(&http.Client{Transport: rt}), fanfare.WithServers("http://b/", "http://c"))
		say := func() string {
			t.Helper()
			asked = nil
			if _, err := c.Publish(t.Context(), "c", 1); err != nil {
				t.Error(err)
			}
			return strings.Join(asked, " ")
		}
		if got := say() + "|" + say(); got != "a b|b" {
			t.Errorf("asked: %s", got)
		}
		down["b"] = func() (*http.Response, error) {
			return answer(503, problemJSON, `{"code":"unavailable","detail":"D.","remedy":"R."}`), nil
		}
		if got := say() + "|" + say(); got != "b c|c" {
			t.Errorf("where one cannot serve: %s", got)
		}
		down["c"], down["a"] = down["a"], nil
		if got := say() + "|" + say(); got != "c a|a" {
			t.Errorf("behind the last: %s", got)
		}
		down["a"] = func() (*http.Response, error) {
			return answer(403, problemJSON, `{"code":"not_granted","detail":"D.","remedy":"R."}`), nil
		}
		for range 2 {
			asked = nil
			if _, err := c.Publish(t.Context(), "c", 1); err == nil || fmt.Sprint(asked) != "[a]" {
				t.Errorf("a refusal: %v %v", asked, err)
			}
		}
	})
	if _, err := fanfare.New("http://a", secretKey, fanfare.WithServers("ftp://b")); err == nil || !strings.Contains(err.Error(), "ftp://b") {
		t.Errorf("a URL that is none: %v", err)
	}
}

// TestSubscriptionGoesOnElsewhere: at first each is tried once; later in turn,
// for as long as it takes.
func TestSubscriptionGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, opened := newFake(), make(chan *conn, 1)
		go func() {
			k := f.next(t)
			if k.req.URL.Host != "a" {
				t.Errorf("%s is asked first", k.req.URL.Host)
			}
			k.refuse(503, problemJSON, `{"code":"unavailable","detail":"D.","remedy":"R."}`)
			opened <- f.next(t).open()
		}()
		c := newClient(t, "http://a", publishableKey, fanfare.WithHTTPClient(&http.Client{Transport: f}), fanfare.WithServers("http://b"))
		sub, err := c.Subscribe(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		for i, want := range []string{"b", "a", "b"} {
			k := <-opened
			if k.req.URL.Host != want {
				t.Errorf("stream %d is from %s, not %s", i, k.req.URL.Host, want)
			}
			k.message(fmt.Sprint(i), fmt.Sprint("e:", i+1))
			take(t, sub, 1)
			_ = k.w.Close()
			opened <- f.next(t).open()
		}
		(<-opened).closing("restarting", 4200) // a's word
		if k := f.next(t).open(); k.req.URL.Host != "b" {
			t.Error("it stays with one that goes")
		}
	})
}

// TestSubscribeTriesEachServerOnce: whoever subscribes learns at once that none
// answers.
func TestSubscribeTriesEachServerOnce(t *testing.T) {
	asked := ""
	rt := trip(func(r *http.Request) (*http.Response, error) {
		asked += r.URL.Host
		return nil, refusedDial()
	})
	c := newClient(t, "http://a", publishableKey, fanfare.WithHTTPClient(&http.Client{Transport: rt}), fanfare.WithServers("http://b", "http://c"))
	if _, err := c.Subscribe(t.Context(), "a"); err == nil || asked != "abc" {
		t.Errorf("asked %s: %v", asked, err)
	}
}
