package fanfare

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxChannels = 100 // of a stream (PROTOCOL.md, clause 7.1)
	queueLength = 256 // messages that wait for the reader
)

// errClosed is the cause of a subscription's end by Close.
var errClosed = errors.New("fanfare: the subscription was closed")

// Subscription is a live stream of the messages of some channels. It may be
// used concurrently. One goroutine of its own reads the stream and comes back
// when the connection breaks; it lives until Close, the end of the context
// that Subscribe got, or an error that coming back cannot mend.
type Subscription struct {
	client   *Client
	channels []protocol.Channel
	ctx      context.Context // ends with the subscription
	cancel   context.CancelCauseFunc
	closed   atomic.Bool // by Close

	items chan item // closed when the goroutine ends
	done  chan struct{}
	err   error // why it ended; read after items is closed

	// The goroutine's own:
	lastID string                      // where to resume
	place  place                       // the same in each channel, where there is no lastID yet
	rewind string                      // what the first connection asks for
	early  map[protocol.Channel]*early // nil: it takes none
	asked  *http.Request               // the last one for a stream
	before bool                        // it was subscribed once, so that a new start may be a gap
}

// item is a message, or a gap in a channel.
type item struct {
	message protocol.Message
	gap     protocol.Channel
	reason  string // of the gap
}

// Subscribe subscribes to channels, at most 100, and returns when the server
// has confirmed all of them: what is published from then on arrives. It tries
// once, or each of WithServers once; later it comes back by itself, with random waits of up to 30 s that
// grow while the server is away.
//
// ctx is the subscription's life and not only that of this call; end it, or
// call Close.
//
// On durable channels a lost connection loses nothing as long as the server
// keeps what came meanwhile; each message comes once. WithOnGap tells of the
// rest.
func (c *Client) Subscribe(ctx context.Context, channels ...string) (*Subscription, error) {
	return c.SubscribeWith(ctx, SubscribeOptions{}, channels...)
}

// SubscribeOptions say which part of the past a subscription begins with. The
// zero value is none of it.
type SubscribeOptions struct {
	// Since is where the program was in some of the channels, as it has kept
	// it: the Position of the last message that it has dealt with. What came
	// after it comes first. Where the server cannot bring all of that back,
	// WithOnGap is told. At, if known, is the Time of the last message of any
	// of the channels, in Unix milliseconds: it helps the server to be sure
	// that a quiet channel misses nothing.
	Since map[string]protocol.Position
	At    int64

	// Rewind is what to begin with in channels that Since does not name, or
	// could not bring back: the last Count messages (1 to 100), or those of the
	// last Seconds (1 to 2,592,000).
	Rewind protocol.Rewind

	// Early brings messages that cannot be stored yet, too: while a cluster
	// elects a leader, which takes it some seconds. Such a message has the Type
	// protocol.TypeEarly and no Position, may overtake others, and is not
	// brought again when it is stored; where its publish fails in the end, it
	// never is. It is for channels where seconds matter more than order.
	Early bool
}

// SubscribeWith is Subscribe, with a part of the past first.
func (c *Client) SubscribeWith(ctx context.Context, o SubscribeOptions, channels ...string) (*Subscription, error) {
	s := &Subscription{client: c, items: make(chan item, queueLength), done: make(chan struct{})}
	if o.Early {
		s.early = map[protocol.Channel]*early{}
	}
	if o.Rewind != (protocol.Rewind{}) {
		if err := o.Rewind.Check(); err != nil {
			return nil, err
		}
		s.rewind = strconv.Itoa(o.Rewind.Count)
		if o.Rewind.Seconds > 0 {
			s.rewind = strconv.Itoa(o.Rewind.Seconds) + "s"
		}
	}
	var err error
	if s.place, err = newPlace(o.Since, o.At, s.rewind != ""); err != nil {
		return nil, err
	}
	seen := map[protocol.Channel]bool{}
	for i, name := range channels {
		ch, err := protocol.ParseChannel(name)
		if err != nil {
			return nil, protocol.AsError(err).At(i)
		}
		if !seen[ch] {
			seen[ch] = true
			s.channels = append(s.channels, ch)
		}
	}
	switch {
	case len(s.channels) == 0:
		return nil, protocol.Errorf(protocol.CodeBadRequest, "There is no channel to subscribe to.")
	case len(s.channels) > maxChannels:
		return nil, protocol.Errorf(protocol.CodeChannelLimit, "A subscription has at most %d channels; these are %d.", maxChannels, len(s.channels))
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	ready := make(chan error, 1)
	go s.run(ready)
	if err := <-ready; err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the subscription and waits until its goroutine has ended. It may
// be called more than once, and within a range over All.
func (s *Subscription) Close() {
	s.closed.Store(true)
	s.cancel(errClosed)
	<-s.done
}

// All yields the messages as they come, and at the end one error that says
// why there will be no more: a *protocol.Error where the server refuses the
// subscription for good, or the cause of the context's end. After Close it
// just ends. A lost connection is no end.
//
// Messages wait in a queue of 256. Whoever does not read for long is in the
// end cut off by the server and comes back, which hurts nobody else. A range
// that was left may be begun again and goes on where it stopped; concurrent
// ranges share the messages among them.
func (s *Subscription) All() iter.Seq2[protocol.Message, error] {
	return func(yield func(protocol.Message, error) bool) {
		for it := range s.items {
			if s.closed.Load() {
				return
			}
			if it.gap != "" {
				if s.client.onGap != nil {
					s.client.onGap(it.gap, it.reason)
				}
				continue
			}
			if !yield(it.message, nil) {
				return
			}
		}
		if !s.closed.Load() {
			yield(protocol.Message{}, s.err)
		}
	}
}

// run connects again and again until that makes no sense any more. It tells
// ready once: nil when all channels are subscribed, else why they are not.
func (s *Subscription) run(ready chan<- error) {
	defer close(s.done)
	defer close(s.items)
	failures, others := 0, len(s.client.servers.all)-1
	var hurried time.Time // when it last came back at once
	for {
		end := s.connect(func() {
			if !s.before {
				s.before = true
				ready <- nil
			}
		})
		if err := context.Cause(s.ctx); err != nil {
			end = ended{err: err, then: protocol.ReconnectNever}
		}
		if !s.before && end.then != protocol.ReconnectNever && others > 0 {
			others--
			continue
		}
		if !s.before {
			s.err = end.err
			ready <- end.err
			return
		}
		if end.welcome {
			failures = 0
		}
		pause := max(backoff(failures), end.after)
		switch end.then {
		case protocol.ReconnectNever:
			s.err = end.err
			s.cancel(end.err)
			return
		case protocol.ReconnectNow:
			// A server that sends everybody away at once, again and again, is
			// not met with a storm: at once is at most once a second.
			if end.welcome && time.Since(hurried) > time.Second {
				hurried, pause = time.Now(), end.after
			}
		case protocol.ReconnectBackoff:
		}
		failures++
		if err := wait(s.ctx, pause); err != nil {
			s.err = err
			return
		}
	}
}

// put hands it to the reader, and waits as long as the queue is full.
func (s *Subscription) put(it item) bool {
	select {
	case s.items <- it:
		return true
	case <-s.ctx.Done():
		return false
	}
}
