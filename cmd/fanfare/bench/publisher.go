package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// publisher is one kept-alive HTTP connection that publishes. Requests may be
// sent before earlier ones are answered (RFC 9112, section 9.3.2): then the
// server handles them in their order, and a late answer holds up no publish.
type publisher struct {
	loop   *loop
	conn   *conn
	up     bool
	due    []time.Duration // of the requests that are not answered yet
	head   int             // where they begin in due
	failed error

	from, to time.Duration // requests due then are measured
	latency  histogram     // from due to answered

	// idle, if any, is called when every request is answered.
	idle func()
}

// connectPublishers opens n connections.
func connectPublishers(ctx context.Context, l *loop, t *target, n int) ([]*publisher, error) {
	list := make([]*publisher, n)
	for i := range list {
		p := &publisher{loop: l, to: never}
		c, err := l.connect(t.addr, t.source(i), 0, p)
		if err != nil {
			return nil, fmt.Errorf("publisher: %w", err)
		}
		p.conn, list[i] = c, p
	}
	var failed error
	ok, err := l.run(ctx, 10*time.Second, nil, func() bool {
		up := 0
		for _, p := range list {
			if p.failed != nil {
				failed = p.failed
				return true
			}
			if p.up {
				up++
			}
		}
		return up == n
	})
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, fmt.Errorf("publisher: %w", failed)
	case !ok:
		return nil, &Failure{Message: "the server takes no connections to publish on", Remedy: "Look at its log, and at fanfare doctor."}
	}
	return list, nil
}

func (p *publisher) opened() { p.up = true }

func (p *publisher) gone(err error) {
	p.conn = nil
	if p.failed == nil {
		p.failed = err
	}
}

// send publishes messages that were due at a time.
func (p *publisher) send(w wire, messages []message, due time.Duration) {
	if p.conn == nil {
		return
	}
	requests, answers := w.publish(messages)
	for range answers {
		p.due = append(p.due, due)
	}
	p.conn.write(requests)
}

func (p *publisher) close() {
	if p.conn != nil {
		p.conn.close(true)
		p.conn = nil
	}
}

// waiting is the number of requests without an answer.
func (p *publisher) waiting() int { return len(p.due) - p.head }

func (p *publisher) received(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		status, body, n, err := readAnswer(b[done:])
		if err != nil || n == 0 {
			return done, err
		}
		if status < 200 || status >= 300 {
			return done, refused(status, body)
		}
		if p.waiting() == 0 {
			return done, errHTTP
		}
		done += n
		now, due := p.loop.now(), p.due[p.head]
		if p.head++; p.head == len(p.due) {
			p.due, p.head = p.due[:0], 0
		}
		if due >= p.from && due < p.to {
			p.latency.record(now - due)
		}
		if p.idle != nil && p.waiting() == 0 {
			if p.idle(); p.conn == nil {
				return done, nil
			}
		}
	}
	return done, nil
}

// refused is an answer that is none of success.
func refused(status int, body []byte) error {
	if i := bytes.IndexByte(body, '{'); i >= 0 {
		var e struct {
			Code           protocol.Code
			Detail, Remedy string
		}
		if json.NewDecoder(bytes.NewReader(body[i:])).Decode(&e) == nil && e.Code != "" {
			if e.Code == protocol.CodePublishRate {
				e.Remedy = "Let bench make an app without such limits: run it with --account-token, or on the server's data folder (--data)."
			}
			return &protocol.Error{Code: e.Code, Message: e.Detail, Remedy: e.Remedy, Index: -1}
		}
	}
	return fmt.Errorf("the server answered %d: %.100s", status, body)
}

// blame says what went wrong with publishers.
func blame(list ...*publisher) (why []string) {
	waiting := 0
	for _, p := range list {
		if p.failed != nil {
			return []string{fmt.Sprintf("a publisher failed: %v", p.failed)}
		}
		waiting += p.waiting()
	}
	if waiting > 0 {
		why = append(why, fmt.Sprintf("%d publishes were never answered", waiting))
	}
	return why
}
