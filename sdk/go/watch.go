package fanfare

import (
	"io"
	"sync"
	"time"
)

// watch calls late when a stream says nothing for too long. Only the time that
// is spent reading counts: whoever does not read cannot know of silence. It
// may be used concurrently and holds no goroutine.
type watch struct {
	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer
}

// newWatch makes a watch that runs already.
func newWatch(limit time.Duration, late func()) *watch {
	return &watch{limit: limit, timer: time.AfterFunc(limit, late)}
}

// set changes how long silence may last, from the next read on.
func (w *watch) set(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.limit)
}

func (w *watch) stop() { w.timer.Stop() }

// watchedBody is a stream's body under a watch.
type watchedBody struct {
	io.Reader
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.start()
	defer b.watch.stop()
	return b.Reader.Read(p)
}
