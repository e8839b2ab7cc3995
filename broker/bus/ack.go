package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// acks brings the streams' answers to the publishers that wait for them, over
// one subscription. The library's own way makes contexts, timers and decoders
// for each message, which is as much work as all the rest of a publish. All
// methods may be called concurrently; it lives as long as its connection.
type acks struct {
	inbox string // of all answers; a waiter's own number follows

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*waiter

	idle sync.Pool // of *waiter
}

// ack is what a stream said about one message.
type ack struct {
	seq       uint64
	duplicate bool
	err       error
}

// waiter is one publisher that waits for an answer, however often it asks. It
// belongs to the publisher's goroutine, but for answer.
type waiter struct {
	number uint64
	answer chan ack // holds the first answer; what comes after it says the same
	late   *time.Timer
}

func newAcks(nc *nats.Conn) (*acks, error) {
	a := &acks{inbox: nats.NewInbox() + ".", waiting: map[uint64]*waiter{}}
	_, err := nc.Subscribe(a.inbox+"*", a.receive)
	return a, err
}

// wait begins to wait for answers to subject.
func (a *acks) wait() (w *waiter, subject string) {
	w, _ = a.idle.Get().(*waiter)
	if w == nil {
		w = &waiter{answer: make(chan ack, 1), late: time.NewTimer(time.Hour)}
		w.late.Stop()
	}
	a.mu.Lock()
	a.last++
	w.number = a.last
	a.waiting[w.number] = w
	a.mu.Unlock()
	b := make([]byte, 0, 64)
	return w, string(strconv.AppendUint(append(b, a.inbox...), w.number, 36))
}

// end forgets w; what is still said to it is not heard.
func (a *acks) end(w *waiter) {
	w.late.Stop()
	a.mu.Lock()
	delete(a.waiting, w.number)
	a.mu.Unlock()
	select { // nobody writes to it any more
	case <-w.answer:
	default:
	}
	a.idle.Put(w)
}

// receive runs in the subscription's one goroutine.
func (a *acks) receive(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.inbox), 36, 64)
	if err != nil {
		return
	}
	said := readAck(m)
	a.mu.Lock()
	defer a.mu.Unlock() // so that end knows that it is over
	if w := a.waiting[number]; w != nil {
		select {
		case w.answer <- said:
		default:
		}
	}
}

// readAck reads an answer. Errors are those of the library: *jetstream.APIError
// and nats.ErrNoResponders.
func readAck(m *nats.Msg) ack {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{err: nats.ErrNoResponders}
	}
	if seq, ok := plainAck(m.Data); ok {
		return ack{seq: seq}
	}
	var v struct {
		Error     *jetstream.APIError `json:"error"`
		Stream    string              `json:"stream"`
		Seq       uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
	}
	switch err := json.Unmarshal(m.Data, &v); {
	case err != nil:
		return ack{err: fmt.Errorf("reading a stream's answer: %w", err)}
	case v.Error != nil:
		return ack{err: v.Error}
	case v.Stream == "":
		return ack{err: errors.New("reading a stream's answer: it names no stream")}
	}
	return ack{seq: v.Seq, duplicate: v.Duplicate}
}

// plainAck reads the usual answer, {"stream":"Hs0","seq":12}, and no other.
func plainAck(b []byte) (seq uint64, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	_, b, ok = bytes.Cut(b, []byte(`"`))
	if !ok {
		return 0, false
	}
	b, ok = bytes.CutPrefix(b, []byte(`,"seq":`))
	if !ok || len(b) < 2 || len(b) > 20 || b[len(b)-1] != '}' {
		return 0, false
	}
	for _, c := range b[:len(b)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		seq = seq*10 + uint64(c-'0')
	}
	return seq, true
}
