package pusher_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	oracle "github.com/pusher/pusher-http-go/v5"
)

func nilChannels() oracle.ChannelsParams { return oracle.ChannelsParams{} }

// request is a signed request by hand; change alters what is signed.
type request struct {
	method, path, query, body string
	key, secret               string
	at                        time.Time
	signature                 string // instead of the right one
	noMD5                     bool
}

// url signs r.
func (w *world) url(r request) string {
	if r.key == "" {
		r.key, r.secret = w.key, w.secret
	}
	if r.at.IsZero() {
		r.at = time.Now()
	}
	q := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=1.0", r.key, r.at.Unix())
	if r.body != "" && !r.noMD5 {
		sum := md5.Sum([]byte(r.body))
		q += "&body_md5=" + hex.EncodeToString(sum[:])
	}
	if r.query != "" {
		q += "&" + r.query
	}
	if r.signature == "" {
		r.signature = hmacHex(r.secret, r.method+"\n"+r.path+"\n"+q)
	}
	return w.URL + r.path + "?" + q + "&auth_signature=" + r.signature
}

func (w *world) do(method, url, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRequestsAreProved(t *testing.T) {
	t.Parallel()
	w := start(t)
	path := "/apps/" + w.appID + "/events"
	body := `{"name":"e","channel":"c","data":"1"}`
	for name, r := range map[string]request{
		"another's secret": {key: w.key, secret: "x"},
		"an unknown key":   {key: "nobody", secret: "x"},
		"no digest":        {noMD5: true},
		"old":              {at: time.Now().Add(-11 * time.Minute)},
		"early":            {at: time.Now().Add(11 * time.Minute)},
		"another app":      {path: "/apps/999/events"},
	} {
		r.method, r.body = "POST", body
		if r.path == "" {
			r.path = path
		}
		if status, text := w.do("POST", w.url(r), body); status != 401 {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	signed := w.url(request{method: "POST", path: path, body: body})
	if status, text := w.do("POST", signed, strings.Replace(body, "1", "2", 1)); status != 401 {
		t.Errorf("another body: %d %s", status, text)
	}
	if status, text := w.do("POST", signed, body); status != 200 || strings.TrimSpace(text) != "{}" {
		t.Errorf("the right one: %d %s", status, text)
	}
	eventually(t, func() bool { // the same again is meant only at once
		status, _ := w.do("POST", signed, body)
		return status == 401
	})
	w.patch(`{"doors":{"pusher":false}}`)
	if status, text := w.do("POST", w.url(request{method: "POST", path: path, body: body}), body); status != 403 {
		t.Errorf("a closed door: %d %s", status, text)
	}
	if status, _ := w.do("GET", w.URL+"/apps/1/nothing", ""); status != 404 {
		t.Errorf("an unknown address: %d", status)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	w := start(t)
	s := w.connect()
	s.subscribe("a")
	w.private(s, "presence-p", &oracle.MemberData{UserID: "ann"})
	info := "user_count,subscription_count"
	out, err := w.lib.TriggerMultiWithParams([]string{"a", "presence-p", "free"}, "e", "1", oracle.TriggerParams{Info: &info})
	if err != nil {
		t.Fatal(err)
	}
	if a, p := out.Channels["a"], out.Channels["presence-p"]; a.UserCount != nil || *a.SubscriptionCount != 1 || *p.UserCount != 1 || *out.Channels["free"].SubscriptionCount != 0 {
		t.Errorf("told %+v", out.Channels)
	}
	s.next("e")
	s.next("e")
	batch, err := w.lib.TriggerBatch([]oracle.Event{{Channel: "a", Name: "one", Data: "1"}, {Channel: "a", Name: "two", Data: "2", SocketID: &s.id}, {Channel: "a", Name: "three", Data: "3", Info: &info}})
	if err != nil || len(batch.Batch) != 3 || *batch.Batch[2].SubscriptionCount != 1 {
		t.Errorf("told %+v (%v)", batch, err)
	}
	s.next("one")
	s.next("three")
	// as old libraries do
	path := "/apps/" + w.appID + "/channels/a/events"
	if status, text := w.do("POST", w.url(request{method: "POST", path: path, query: "name=old", body: `{"x":1}`}), `{"x":1}`); status != 202 {
		t.Errorf("the old way: %d %s", status, text)
	}
	if e := s.next("old"); e.text() != `{"x":1}` {
		t.Errorf("got %+v", e)
	}

	large := strings.Repeat("a", 10<<10+1)
	many := `"c0"`
	for i := range 100 {
		many += fmt.Sprintf(`,"c%d"`, i+1)
	}
	for body, want := range map[string]string{
		`{"name":"e","channel":"a","data":"` + large + `"}`:             "413 The data content of this event exceeds the allowed maximum",
		`{"name":"` + large[:201] + `","channel":"a","data":""}`:        "400 The name",
		`{"channel":"a","data":""}`:                                     "400 The name",
		`{"name":"e","channel":"a"}`:                                    "400 The data",
		`{"name":"e","channel":"a","data":{}}`:                          "400 ",
		`{"name":"e","data":""}`:                                        "400 The channel name",
		`{"name":"e","channel":"a:b","data":""}`:                        "400 The channel name",
		`{"name":"e","channel":"#online-x","data":""}`:                  "400 The channel name",
		`{"name":"e","channels":["private-encrypted-a","b"],"data":""}`: "400 An event for an encrypted",
		`{"name":"e","channels":[` + many + `],"data":""}`:              "400 An event goes to 100",
		`{"name":"e","channel":"a","data":"","socket_id":"x"}`:          "400 The socket_id",
		`[]`: "400 ",
		`x`:  "400 ",
		strings.Repeat(" ", 1<<20) + `{"name":"e","channel":"a","data":""}`: "413 The request body",
	} {
		r := request{method: "POST", path: "/apps/" + w.appID + "/events", body: body}
		if status, text := w.do("POST", w.url(r), body); !strings.HasPrefix(fmt.Sprintf("%d %s", status, text), want) {
			t.Errorf("%.60s: %d %s, want %s", body, status, text, want)
		}
	}
	eleven := strings.Repeat(`{"name":"e","channel":"a","data":""},`, 10) + `{"name":"e","channel":"a","data":""}`
	body := `{"batch":[` + eleven + `]}`
	if status, text := w.do("POST", w.url(request{method: "POST", path: "/apps/" + w.appID + "/batch_events", body: body}), body); status != 400 || !strings.Contains(text, "Batch too large") {
		t.Errorf("eleven events: %d %s", status, text)
	}
	s.quiet()
}

func TestChannels(t *testing.T) {
	t.Parallel()
	w := start(t)
	get := func(path, query string) (int, string) {
		t.Helper()
		status, text := w.do("GET", w.url(request{method: "GET", path: "/apps/" + w.appID + path, query: query}), "")
		return status, strings.TrimSpace(text)
	}
	s := w.connect()
	s.subscribe("a")
	s.subscribe("cache-c")
	s.next("pusher:cache_miss")
	w.private(s, "presence-p", &oracle.MemberData{UserID: "ann"})
	if err := w.lib.Trigger("cache-c", "e", "hello"); err != nil {
		t.Fatal(err)
	}
	s.next("e")
	for _, c := range []struct{ path, query, want string }{
		{"/channels", "", `200 {"channels":{"a":{},"cache-c":{},"presence-p":{}}}`},
		{"/channels", "filter_by_prefix=presence-&info=user_count", `200 {"channels":{"presence-p":{"user_count":1}}}`},
		{"/channels", "info=user_count", `400 `},
		{"/channels", "info=shoe_size", `400 `},
		{"/channels/a", "", `200 {"occupied":true}`},
		{"/channels/free", "", `200 {"occupied":false}`},
		{"/channels/a", "info=subscription_count", `200 {"occupied":true,"subscription_count":1}`},
		{"/channels/presence-p", "info=user_count", `200 {"occupied":true,"user_count":1}`},
		{"/channels/a", "info=user_count", `400 `},
		{"/channels/a", "info=cache", `400 `},
		{"/channels/cache-c", "info=cache", `200 {"cache":{"data":"hello","ttl":17`},
		{"/channels/cache-d", "info=cache", `200 {"cache":null,"occupied":false}`},
		{"/channels/presence-p/users", "", `200 {"users":[{"id":"ann"}]}`},
		{"/channels/presence-free/users", "", `200 {"users":[]}`},
		{"/channels/a/users", "", `400 `},
	} {
		if status, text := get(c.path, c.query); !strings.HasPrefix(fmt.Sprintf("%d %s", status, text), c.want) {
			t.Errorf("%s?%s: %d %s, want %s", c.path, c.query, status, text, c.want)
		}
	}
}
