package bus

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Watch calls fn with every entry of the bucket and then with every change,
// one after the other in one goroutine, in the order of their revisions. It
// returns when fn has seen what was there at the start. Deleted and expired
// keys come as entries with Deleted set, for some minutes also at the start.
//
// stop ends it and returns when fn is not running any more. It must not be
// called from fn. Close stops it too.
func (k *Bucket) Watch(fn func(Entry)) (stop func(), err error) {
	var w *watch
	present := make(chan struct{})
	stop, err = k.bus.begin(func() (reader, error) {
		patience, end := context.WithTimeout(context.Background(), watchPatience)
		defer end()
		for {
			ctx, cancel, kw, err := k.watchAll(patience)
			if err == nil {
				w = &watch{bus: k.bus, watcher: kw, cancel: cancel, ended: make(chan struct{})}
				go w.run(ctx, fn, present)
				return w, nil
			}
			if k.bus.cluster == nil || !passing(err) || patience.Err() != nil {
				return nil, fmt.Errorf("watching bucket %s: %w", k.name, err)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-present:
		return stop, nil
	case <-w.ended: // Close came in between
		stop()
		return nil, fmt.Errorf("watching bucket %s: %w", k.name, ErrClosed)
	}
}

// watchPatience is how long a watch waits for a leader, at its start.
const watchPatience = time.Minute

// watchAll asks for the watch once, when there is a leader.
func (k *Bucket) watchAll(patience context.Context) (context.Context, context.CancelFunc, jetstream.KeyWatcher, error) {
	if k.bus.cluster != nil { // there may be none just now
		if err := k.bus.patiently(patience, func(ctx context.Context) error { _, err := k.stream.Info(ctx); return err }); err != nil {
			return nil, nil, nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(startLimit, cancel)
	kw, err := k.kv.WatchAll(ctx)
	if !late.Stop() || err != nil {
		cancel()
		if err == nil {
			for range kw.Updates() { // it cannot end while it waits for a taker
			}
		}
		return nil, nil, nil, cmp.Or(err, context.DeadlineExceeded)
	}
	return ctx, cancel, kw, nil
}

// watch is one running Watch. run is its goroutine; the rest may be called
// concurrently.
type watch struct {
	bus     *Bus
	watcher jetstream.KeyWatcher
	cancel  context.CancelFunc
	once    sync.Once
	ended   chan struct{} // closed when the goroutine has ended
}

// run reads until the watcher closes its channel. It goes on reading when it
// is being stopped, since the watcher would wait for ever to hand over an
// entry that nobody takes.
func (w *watch) run(ctx context.Context, fn func(Entry), present chan<- struct{}) {
	defer close(w.ended)
	for u := range w.watcher.Updates() {
		if u == nil { // what was there has been told
			close(present)
			continue
		}
		if ctx.Err() != nil {
			continue
		}
		e := Entry{Key: u.Key(), Value: u.Value(), Revision: u.Revision()}
		if u.Operation() != jetstream.KeyValuePut {
			e.Value, e.Deleted = nil, true
		}
		fn(e)
	}
}

func (w *watch) dropped() uint64 { return 0 } // a watch is slowed down instead

func (w *watch) stop() {
	w.once.Do(func() {
		w.cancel()
		// It is asked for no more at once; that the server forgets it may take
		// until there is a leader. The only errors are that it, or its
		// connection, has ended already.
		w.bus.ending.Go(func() { _ = w.watcher.Stop() })
		<-w.ended
	})
}
