package bus

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	jobFetch = 64                     // jobs that are asked for at a time, by each partition
	jobPoll  = 500 * time.Millisecond // how long one request for jobs lasts
)

// worker is one running Work. Its methods may be called concurrently.
type worker struct {
	queue   *Queue
	fn      func(*Task)
	running sync.WaitGroup
	quit    chan struct{} // closed by stop
	once    sync.Once

	mu  sync.Mutex
	out map[jetstream.Msg]struct{} // given out
}

// begin starts the goroutine of one partition.
func (w *worker) begin(ctx context.Context, n int) error {
	var c jetstream.Consumer
	config := jetstream.ConsumerConfig{
		Durable:       consumerName(n),
		FilterSubject: "q." + w.queue.name + ".r." + strconv.Itoa(n) + ".>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       w.queue.wait,
		MaxAckPending: -1, // who takes tasks puts off what is too much
		MaxDeliver:    -1,
	}
	err := w.queue.bus.patiently(ctx, func(ctx context.Context) (err error) {
		c, err = w.queue.stream.CreateOrUpdateConsumer(ctx, config)
		return err
	})
	if err != nil {
		return err
	}
	w.running.Go(func() { w.run(c) })
	return nil
}

// run gives out what comes. It asks for it again and again, half a second at a time:
// an endless subscription stands still, for as long as its longest request,
// when under load one of its requests goes astray. What has come when it is
// stopped goes back at once.
func (w *worker) run(c jetstream.Consumer) {
	for !w.stopping() {
		batch, err := c.Fetch(jobFetch, jetstream.FetchMaxWait(jobPoll))
		if err == nil {
			for m := range batch.Messages() {
				w.give(m)
			}
			err = batch.Error()
		}
		if err != nil && !w.stopping() {
			pause := tryPause
			if w.queue.bus.cluster != nil && passing(err) {
				pause = waitingPause // an election; who is ready to serve says so elsewhere
			} else {
				w.queue.bus.log.Warn("bus: queue", "queue", w.queue.name, "error", err)
			}
			select {
			case <-w.quit:
			case <-time.After(pause):
			}
		}
	}
}

func (w *worker) stopping() bool {
	select {
	case <-w.quit:
		return true
	default:
		return false
	}
}

func (w *worker) give(m jetstream.Msg) {
	t, err := w.task(m)
	switch {
	case err != nil:
		w.queue.bus.log.Error("bus: a job cannot be read and is thrown away", "queue", w.queue.name, "error", err)
		_ = m.Term() // the connection's errors are told by the next request
	case w.stopping():
		_ = t.Release()
	default:
		w.fn(t)
	}
}

func (w *worker) task(m jetstream.Msg) (*Task, error) {
	parts := strings.Split(m.Subject(), ".")
	j := Job{ID: m.Headers().Get(headerJob), Body: m.Data()}
	if len(parts) != 5 || !validApp(j.ID) {
		return nil, errSubject
	}
	j.Lane = parts[4]
	if n := m.Headers().Get(headerAttempt); n != "" {
		var err error
		if j.Attempt, err = strconv.Atoi(n); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.out[m] = struct{}{}
	w.mu.Unlock()
	return &Task{
		Job:  j,
		Done: func() error { w.forget(m); return w.queue.wrap("finishing a job", m.Ack()) },
		Later: func(ctx context.Context, at time.Time, next Job) error {
			next.Lane, next.ID = j.Lane, j.ID
			if err := w.queue.later(ctx, at, next); err != nil {
				return err
			}
			w.forget(m)
			return w.queue.wrap("putting off", m.Ack())
		},
		Release: func() error { w.forget(m); return w.queue.wrap("giving a job back", m.Nak()) },
	}, nil
}

func (w *worker) forget(m jetstream.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.out, m)
}

// alive tells the message server that the tasks are still being worked on.
func (w *worker) alive() {
	tick := time.NewTicker(w.queue.wait / 3)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		out := make([]jetstream.Msg, 0, len(w.out))
		for m := range w.out {
			out = append(out, m)
		}
		w.mu.Unlock()
		for _, m := range out {
			_ = m.InProgress() // one that was finished meanwhile says so
		}
	}
}

func (w *worker) stop() {
	w.once.Do(func() {
		close(w.quit)
		w.running.Wait()
		w.queue.mu.Lock()
		defer w.queue.mu.Unlock()
		delete(w.queue.workers, w)
	})
}
