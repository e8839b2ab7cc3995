package qrlogin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watchers let requests wait for the next change of an attempt on this node.
// Safe for concurrent use; an entry lives while somebody waits.
type watchers struct {
	mu sync.Mutex
	m  map[string]*watcher
}

type watcher struct {
	changed chan struct{} // closed at the change
	waiting int
}

// maxWaiting is how many requests may wait for one attempt: its page, its
// phone, and what they left behind while reconnecting.
const maxWaiting = 8

func newWatchers() *watchers { return &watchers{m: map[string]*watcher{}} }

// on registers a wait. done has to be called.
func (w *watchers) on(id string) (changed <-chan struct{}, done func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.m[id]
	if e == nil {
		e = &watcher{changed: make(chan struct{})}
		w.m[id] = e
	}
	if e.waiting >= maxWaiting {
		return nil, nil, false
	}
	e.waiting++
	return e.changed, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.waiting--; e.waiting == 0 && w.m[id] == e {
			delete(w.m, id)
		}
	}, true
}

func (w *watchers) tell(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.m[id]; e != nil {
		close(e.changed)
		delete(w.m, id)
	}
}

// settle is the attempt once its Seq is beyond the request's ?after, or after
// the wait that the request prefers (RFC 7240; at most 25 s). Changes on other
// nodes are seen within a second.
func (s *Server) settle(r *http.Request, a Attempt) Attempt {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	wait := preferredWait(r.Header.Get("Prefer"))
	if err != nil || wait == 0 {
		return a
	}
	return s.await(r.Context(), a, wait, func(a Attempt) bool { return a.Seq > after })
}

// await is the attempt once done says so, or as it is after the wait.
func (s *Server) await(ctx context.Context, a Attempt, wait time.Duration, done func(Attempt) bool) Attempt {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for !done(a) {
		changed, leave, ok := s.watch.on(a.ID)
		if !ok {
			return a
		}
		if b, err := s.get(ctx, a.ID); err == nil {
			a = b.at(time.Now())
		}
		over := done(a)
		if !over {
			select {
			case <-changed:
			case <-again.C:
			case <-ctx.Done():
				over = true
			case <-s.closing:
				over = true
			}
		}
		leave()
		if over {
			break
		}
	}
	return a
}

func preferredWait(header string) time.Duration {
	for part := range strings.SplitSeq(header, ",") {
		if n, ok := strings.CutPrefix(strings.TrimSpace(part), "wait="); ok {
			if secs, err := strconv.Atoi(n); err == nil && secs > 0 {
				return min(time.Duration(secs)*time.Second, 25*time.Second)
			}
		}
	}
	return 0
}
