package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// pusherWire is protocol 7 of Pusher Channels, and the HTTP API that goes with
// it.
type pusherWire struct {
	*target
	app, key, secret string
}

func newPusherWire(t *target) (*pusherWire, error) {
	part := strings.Split(t.Pusher, ":")
	if len(part) != 3 {
		return nil, &Failure{Message: "--wire pusher needs an app's credentials", Remedy: "Add --pusher APP:KEY:SECRET.", Usage: true}
	}
	return &pusherWire{t, part[0], part[1], part[2]}, nil
}

func (w *pusherWire) request(string) []byte {
	return w.handshake("/app/"+url.PathEscape(w.key)+"?protocol=7&client=fanfare-bench&version=1.0", "")
}

func (*pusherWire) greeting(channel string) ([]byte, bool) {
	return fmt.Appendf(nil, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel), false
}

func (*pusherWire) answer(text []byte) (a answer) {
	if !bytes.Contains(text, []byte(`"pusher`)) {
		return answer{} // a message
	}
	var e struct {
		Event string
		Data  json.RawMessage
	}
	if json.Unmarshal(text, &e) != nil {
		return answer{err: errWords}
	}
	switch e.Event {
	case "pusher:ping":
		a.reply = []byte(`{"event":"pusher:pong","data":{}}`)
	case "pusher_internal:subscription_succeeded":
		a.subscribed = true
	case "pusher:error", "pusher:subscription_error":
		a.err = fmt.Errorf("the server refuses: %.200s", e.Data)
	}
	return a
}

// pusherEvent is one event to publish.
type pusherEvent struct {
	Name    string `json:"name"`
	Channel string `json:"channel"`
	Data    string `json:"data"`
}

// publish sends batches of ten at most, which is what the API takes, as
// pipelined requests.
func (w *pusherWire) publish(messages []message) (b []byte, answers int) {
	const most = 10
	for len(messages) > 0 {
		n := min(most, len(messages))
		list := make([]pusherEvent, n)
		for i, m := range messages[:n] {
			list[i] = pusherEvent{"bench", m.channel, string(m.data)}
		}
		if n == 1 {
			b = append(b, w.signed("/events", list[0])...)
		} else {
			b = append(b, w.signed("/batch_events", map[string]any{"batch": list})...)
		}
		messages = messages[n:]
		answers++
	}
	return b, answers
}

// signed is a request with the API's signature.
func (w *pusherWire) signed(path string, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // strings always marshal
		return nil
	}
	path = "/apps/" + url.PathEscape(w.app) + path
	query := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=1.0&body_md5=%x", url.QueryEscape(w.key), time.Now().Unix(), md5.Sum(body))
	mac := hmac.New(sha256.New, []byte(w.secret))
	fmt.Fprintf(mac, "POST\n%s\n%s", path, query)
	return w.post(fmt.Sprintf("%s?%s&auth_signature=%x", path, query, mac.Sum(nil)), "Content-Type: application/json\r\n", body)
}
