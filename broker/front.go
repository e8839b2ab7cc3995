package broker

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// front is the node's handler. While the node waits for its cluster it answers
// for its health only; then all is the real one's. It may be used concurrently.
type front struct {
	real   atomic.Pointer[http.Handler]
	reason atomic.Pointer[string] // what the node waits for
}

func (f *front) waiting(reason string) { f.reason.Store(&reason) }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := f.real.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/livez" {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n")) // the client may be gone
		return
	}
	e := protocol.Errorf(protocol.CodeUnavailable, "This node is starting.").After(time.Second)
	if reason := f.reason.Load(); reason != nil && *reason != "" && api.Local(r) {
		e.Message = "This node is starting: " + *reason + "."
	}
	api.WriteError(w, e)
}
