package pusher_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// between is a server that hands WebSockets on to the node and changes what
// comes back. A text that begins with "later " is sent a second later.
func (w *world) between(t *testing.T, mutate func(text string) []string) (address string) {
	t.Helper()
	var run sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		run.Add(1)
		defer run.Done()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = client.CloseNow() }()
		node, _, err := websocket.Dial(ctx, "ws://"+w.host+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = node.CloseNow() }()
		run.Go(func() {
			defer cancel()
			for {
				kind, b, err := client.Read(ctx)
				if err != nil || node.Write(ctx, kind, b) != nil {
					return
				}
			}
		})
		for {
			kind, b, err := node.Read(ctx)
			if err != nil {
				return
			}
			for _, text := range mutate(string(b)) {
				if rest, late := strings.CutPrefix(text, "later "); late {
					run.Go(func() {
						select {
						case <-time.After(time.Second):
							_ = client.Write(ctx, kind, []byte(rest))
						case <-ctx.Done():
						}
					})
				} else if client.Write(ctx, kind, []byte(text)) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(func() { s.Close(); run.Wait() })
	return s.Listener.Addr().String()
}
