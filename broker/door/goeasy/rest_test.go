package goeasy_test

import (
	"bufio"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// otp makes a one-time password as GoEasy's documentation says.
func otp(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, aes.BlockSize)
	block.Encrypt(out, fmt.Appendf(nil, "000%d", at.UnixMilli()))
	return base64.StdEncoding.EncodeToString(out)
}

// token makes an access token as GoEasy's documentation says.
func token(t *testing.T, secret string, claims any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Servers call as GoEasy's documentation shows it, and as its samples do.
func TestREST(t *testing.T) {
	s := brokertest.Start(t)
	rest, common := s.Doors["FANFARE_GOEASY_REST_KEY"], s.Doors["FANFARE_GOEASY_COMMON_KEY"]
	form := url.Values{"appkey": {rest}, "channel": {"c"}, "content": {"as a form & more"}}.Encode()
	for _, c := range []struct{ path, kind, body string }{
		{"/v2/pubsub/publish", "application/json", fmt.Sprintf(`{"appkey":%q,"channel":"c","content":"strict"}`, rest)},
		{"/v2/pubsub/publish", "application/x-www-form-urlencoded", fmt.Sprintf(`{appkey:'%s', channel: "c", content: 'as a "sample"', qos: 1, }`, rest)},
		{"/publish", "application/x-www-form-urlencoded", form},
		{"/publish?" + form, "", ""},
		{"/v2/pubsub/publish", "application/json", fmt.Sprintf(`{"appkey":%q,"channel":"c","content":5}`, common)},
	} {
		if status, text := call(t, "POST", s.URL+c.path, c.kind, "", c.body); status != 200 || text != `{"code":200,"content":"OK"}` {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, text)
		}
	}
	for _, path := range []string{"/v2/pubsub/history", "/history"} {
		_, text := call(t, "GET", s.URL+path+"?channel=c&limit=4&appkey="+rest, "", "", "")
		var answer struct {
			Code    int
			Content struct {
				Messages []struct {
					Time    int64
					Content string
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Code != 200 || len(answer.Content.Messages) != 4 {
			t.Fatalf("%s: %s", path, text)
		}
		var got []string
		for _, one := range answer.Content.Messages {
			got = append(got, one.Content)
		}
		if strings.Join(got, "|") != `as a "sample"|as a form & more|as a form & more|5` {
			t.Errorf("%s: %q", path, got)
		}
		end := answer.Content.Messages[0].Time
		_, text = call(t, "GET", fmt.Sprintf("%s%s?channel=c&appkey=%s&end=%d&start=%d", s.URL, path, rest, end-1, end-600_000), "", "", "")
		if strings.Contains(text, "sample") || strings.Contains(text, "as a form") {
			t.Errorf("%s until a time: %s", path, text)
		}
	}
	enter(t, s, "COMMON_KEY", "ann").is(200, "subscribe", m{"channel": "c", "presence": m{"enable": true}})
	if _, text := call(t, "GET", s.URL+"/herenow?channel=c&channel=d&includeUsers=true&distinct=true&appkey="+rest, "", "", ""); text !=
		`{"code":200,"content":{"channels":{"c":{"channel":"c","clientAmount":1,"userAmount":1,"users":[{"id":"ann","data":{}}]},"d":{"channel":"d","clientAmount":0,"userAmount":0,"users":[]}}}}` {
		t.Errorf("who is there: %s", text)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/publish", `{"appkey":"nobodys","channel":"c","content":"x"}`, 400},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"c","content":"x"}`, s.Doors["FANFARE_GOEASY_SUBSCRIBE_KEY"]), 401},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"protected-x","content":"x"}`, common), 401},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"protected-x","content":"x"}`, rest), 200},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"#own","content":"x"}`, rest), 401},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"c"}`, rest), 400},
		{"POST", "/publish", fmt.Sprintf(`{"appkey":%q,"channel":"c","content":"x","qos":"high"}`, rest), 400},
		{"POST", "/publish", `{"appkey":`, 400},
		{"POST", "/publish", strings.Repeat("x", 3<<20), 413},
		{"GET", "/publish?appkey=" + rest + "&channel=c&content=x", "", 405},
		{"DELETE", "/history?appkey=" + rest + "&channel=c", "", 405},
		{"GET", "/history?appkey=" + rest + "&channel=c&limit=1000", "", 400},
		{"GET", "/history?appkey=" + common + "&channel=protected-x", "", 401},
		{"GET", "/herenow?appkey=" + rest, "", 400},
	} {
		status, text := call(t, c.method, s.URL+c.path, "", "", c.body)
		var answer struct {
			Code    int
			Content string
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || status != c.want || answer.Code != c.want || c.want != 200 && answer.Content == "" {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.path, c.body, status, text)
		}
	}
}

// One channel through all doors at once: messages, who is there and the past
// agree.
func TestDoorsAgree(t *testing.T) {
	s := brokertest.Start(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/sse?channel=room&key="+s.PublishableKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewScanner(res.Body)
	event := func(typ string) (line string) {
		for events.Scan() {
			if data, ok := strings.CutPrefix(events.Text(), "data: "); ok && strings.Contains(data, `"type":"`+typ+`"`) {
				return data
			}
		}
		t.Fatalf("no %s comes: %v", typ, events.Err())
		return ""
	}
	event("subscribed")
	c := enter(t, s, "COMMON_KEY", "ann")
	c.is(200, "subscribe", m{"channel": "room", "presence": m{"enable": true}})
	heard := func() (one struct{ N, C, I string }) {
		var outer []json.RawMessage
		var text string
		p := strings.TrimPrefix(c.next(), "42")
		if err := json.Unmarshal([]byte(p), &outer); err != nil || len(outer) != 2 || json.Unmarshal(outer[1], &text) != nil || json.Unmarshal([]byte(text), &one) != nil {
			t.Fatalf("a packet is %s", p)
		}
		return one
	}

	if status, text := call(t, "POST", s.URL+"/v1/messages", "application/json", s.SecretKey, `{"channel":"room","data":{"by":"rest"}}`); status > 299 {
		t.Fatal(status, text)
	}
	if got := heard(); got.N != "room" || got.C != `{"by":"rest"}` {
		t.Errorf("REST's message is %+v", got)
	}
	if got := event("message"); !strings.Contains(got, `"data":{"by":"rest"}`) {
		t.Errorf("REST's message is %s", got)
	}
	for range 2 { // sent again, with the same id
		if _, before := c.call("publish", m{"channel": "room", "content": `"by" goeasy`, "guid": "a1b2", "q": 1}); len(before) > 0 {
			var outer []json.RawMessage
			if err := json.Unmarshal([]byte(before[0][2:]), &outer); err != nil || !strings.Contains(string(outer[1]), `goeasy`) || len(before) > 1 {
				t.Errorf("its own message is %s", before)
			}
		}
	}
	if got := event("message"); !strings.Contains(got, `"id":"a1b2"`) || !strings.Contains(got, `"data":"\"by\" goeasy"`) || strings.Contains(got, `"user"`) {
		t.Errorf("goeasy's message is %s", got)
	}
	if status, text := call(t, "POST", s.URL+"/publish", "application/json", "", fmt.Sprintf(`{"appkey":%q,"channel":"room","content":"by its REST"}`, s.Doors["FANFARE_GOEASY_REST_KEY"])); status != 200 {
		t.Fatal(status, text)
	}
	if got := event("message"); !strings.Contains(got, `"data":"by its REST"`) {
		t.Errorf("what comes after one that was sent twice is %s", got)
	}
	r := c.is(200, "historyMessages", m{"channel": "room"})
	_, ours := call(t, "GET", s.URL+"/v1/messages?channel=room", "", s.SecretKey, "")
	var past struct{ Messages []struct{ Content string } }
	var page struct {
		Messages []struct{ Data json.RawMessage }
	}
	if json.Unmarshal(r.Content, &past) != nil || json.Unmarshal([]byte(ours), &page) != nil || len(past.Messages) != 3 || len(page.Messages) != 3 {
		t.Errorf("the past is %s and %s", r.Content, ours)
	}
	if _, text := call(t, "GET", s.URL+"/v1/presence?channel=room", "", s.SecretKey, ""); !strings.Contains(text, `"user":"ann"`) {
		t.Errorf("who is there: %s", text)
	}
	if r := c.is(200, "PUBSUB_PRESENCE_HERENOW", m{"channel": "room"}); string(r.Content) != `{"channel":"room","amount":1,"members":[{"id":"ann","data":{}}]}` {
		t.Errorf("who is there: %s", r.Content)
	}
}
