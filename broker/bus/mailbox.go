package bus

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
)

// mailbox is how an ephemeral message gets to a feed of the node that it was
// published on, where there are no other nodes: without the message server,
// which would put it through four goroutines and two pipes. All methods may be
// called concurrently; run is its one goroutine. It lives from a feed's start
// to its stop.
type mailbox struct {
	fn   func(*nats.Msg)
	lag  lag
	log  *slog.Logger
	wake chan struct{} // holds one token when there is something to do
	quit chan struct{}
	done sync.WaitGroup

	mu    *sync.Mutex // of all mailboxes, so that all have one order
	msgs  []*nats.Msg
	bytes int // of msgs and of what run works on
	busy  int // messages that run works on
	full  bool
	lost  uint64
}

// put queues a message, or drops it where too many wait already; began says
// that it is the first one to be dropped. m.mu must be held.
func (m *mailbox) put(msg *nats.Msg) (began bool) {
	if len(m.msgs)+m.busy >= m.lag.packets || m.bytes+len(msg.Data) > m.lag.bytes {
		began, m.full = !m.full, true
		m.lost++
	} else {
		m.full = false
		m.msgs = append(m.msgs, msg)
		m.bytes += len(msg.Data)
	}
	if len(m.msgs) == 1 {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return began
}

func (m *mailbox) run() {
	var msgs []*nats.Msg
	for {
		select {
		case <-m.quit:
			return
		case <-m.wake:
		}
		if cap(msgs) > feedBacklog {
			msgs = nil // a burst is over
		}
		m.mu.Lock()
		msgs, m.msgs = m.msgs, msgs[:0]
		m.busy = len(msgs)
		m.mu.Unlock()
		for i, msg := range msgs {
			select {
			case <-m.quit:
				return
			default:
			}
			m.fn(msg)
			msgs[i] = nil
			m.mu.Lock()
			m.bytes -= len(msg.Data)
			m.busy--
			m.mu.Unlock()
		}
	}
}

func (m *mailbox) dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// stop ends it and waits for fn. It may be called once.
func (m *mailbox) stop() {
	close(m.quit)
	m.done.Wait()
}

// boxes are the mailboxes of a node. All methods may be called concurrently;
// the zero value has none.
type boxes struct {
	mu  sync.Mutex
	all []*mailbox
}

// post hands a message to all of them.
func (b *boxes) post(msg *nats.Msg) {
	b.mu.Lock()
	var slow *mailbox
	for _, m := range b.all {
		if m.put(msg) {
			slow = m
		}
	}
	b.mu.Unlock()
	if slow != nil {
		slow.log.Warn("bus: reader too slow, packets were dropped", "dropped", slow.dropped())
	}
}

// open makes one for fn and starts it.
func (b *boxes) open(fn func(*nats.Msg), l lag, log *slog.Logger) *mailbox {
	m := &mailbox{fn: fn, lag: l, log: log, mu: &b.mu, wake: make(chan struct{}, 1), quit: make(chan struct{})}
	m.done.Go(m.run)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, m)
	return m
}

// close takes m away and waits until its function has returned.
func (b *boxes) close(m *mailbox) {
	b.mu.Lock()
	b.all = slices.DeleteFunc(b.all, func(x *mailbox) bool { return x == m })
	b.mu.Unlock()
	m.stop()
}
