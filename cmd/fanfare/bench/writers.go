package bench

import (
	"context"
	"time"
)

// writers are connections that publish as fast as they are answered, each on
// channels of its own: channel i is that of writer i modulo their number, so
// that a channel's messages keep their order. Channels take their turns.
type writers struct {
	loop     *loop
	wire     wire
	audience *audience // names channels and marks messages; it may be empty
	size     int
	batch    int // messages a request
	list     []*publisher
	at       []int    // by writer: the channel that is next
	seqs     []uint32 // by channel: of its last message
	names    []string // by channel
	stopped  bool
	goal     uint32 // no channel gets more messages; 0: no such end

	from, to  time.Duration // messages published then are measured
	published uint64        // of those

	buf      []byte
	messages []message
}

// newWriters connects n writers, of a number of channels.
func newWriters(ctx context.Context, a *audience, n, channels, size, batch int) (*writers, error) {
	n = min(n, channels)
	list, err := connectPublishers(ctx, a.loop, a.target, n)
	if err != nil {
		return nil, err
	}
	w := &writers{loop: a.loop, wire: a.wire, audience: a, size: size, batch: batch, list: list, at: make([]int, n), seqs: make([]uint32, channels), buf: make([]byte, 0, size*batch)}
	for c := range channels {
		w.names = append(w.names, a.channelName(uint32(c)))
	}
	for i, p := range list {
		w.at[i] = i
		p.idle = func() { w.write(i) }
	}
	return w, nil
}

// write publishes writer i's next batch.
func (w *writers) write(i int) {
	if w.stopped {
		return
	}
	now := w.loop.now()
	w.buf, w.messages = w.buf[:0], w.messages[:0]
	for range w.batch {
		c := w.at[i]
		if w.goal > 0 && w.seqs[c] >= w.goal {
			break // so have its other channels, since they take turns
		}
		if w.at[i] += len(w.list); w.at[i] >= len(w.seqs) {
			w.at[i] = i
		}
		w.seqs[c]++
		begin := len(w.buf)
		w.buf = mark{w.audience.run, uint32(c), w.seqs[c], now}.appendData(w.buf, w.size)
		w.messages = append(w.messages, message{w.names[c], w.buf[begin:]})
	}
	if len(w.messages) == 0 {
		return
	}
	if now >= w.from && now < w.to {
		w.published += uint64(w.batch)
	}
	w.list[i].send(w.wire, w.messages, now)
}

// run writes for warm and then for as long as m measures, and stops.
func (w *writers) run(ctx context.Context, m *meter, show func(now time.Duration)) error {
	w.from, w.to = m.from, m.to
	for i, p := range w.list {
		p.from, p.to = m.from, m.to
		w.write(i)
	}
	_, err := w.loop.run(ctx, m.to-w.loop.now()+time.Second, func(now time.Duration) time.Duration {
		show(now)
		return min(m.tick(now), now+100*time.Millisecond)
	}, func() bool { return m.ended || w.failed() })
	w.stopped = true
	return err
}

func (w *writers) failed() bool {
	for _, p := range w.list {
		if p.failed != nil {
			return true
		}
	}
	return false
}

// waiting reports whether an answer is still to come.
func (w *writers) waiting() bool {
	for _, p := range w.list {
		if p.waiting() > 0 {
			return true
		}
	}
	return false
}

// latency is how long the measured requests took to be answered.
func (w *writers) latency() *Latency {
	var h histogram
	for _, p := range w.list {
		h.merge(&p.latency)
	}
	return h.latency()
}

// last is the sequence of a channel's last message.
func (w *writers) last(channel uint32) uint32 { return w.seqs[channel] }

// all is how many messages were published, whether measured or not.
func (w *writers) all() (n uint64) {
	for _, seq := range w.seqs {
		n += uint64(seq)
	}
	return n
}

func (w *writers) close() {
	for _, p := range w.list {
		p.close()
	}
}
