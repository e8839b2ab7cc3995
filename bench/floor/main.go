// Command floor is the least server on coder/websocket: GET /sub?id=… is a
// WebSocket of text frames, POST /pub?id=… sends its body to all of them. A
// goroutine for each client, no protocol, no keys, no history: what a broker
// adds is added to this. It exists to be measured beside Fanfare.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/coder/websocket"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Parse()
	h := &hall{rooms: map[string]map[*client]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sub", h.subscribe)
	mux.HandleFunc("POST /pub", h.publish)
	if err := http.ListenAndServe(*listen, mux); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// hall is all rooms by id. It may be used concurrently.
type hall struct {
	mu    sync.RWMutex
	rooms map[string]map[*client]bool
}

// client is what waits for one connection, and what ends it.
type client struct {
	queue chan []byte
	end   context.CancelFunc
}

func (h *hall) subscribe(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	ctx, end := context.WithCancel(context.Background())
	defer end()
	// Before the handshake is answered, which the client takes for its
	// subscription.
	c := &client{make(chan []byte, 256), end}
	h.mu.Lock()
	if h.rooms[id] == nil {
		h.rooms[id] = map[*client]bool{}
	}
	h.rooms[id][c] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.rooms[id], c)
		if len(h.rooms[id]) == 0 {
			delete(h.rooms, id)
		}
	}()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	ctx = conn.CloseRead(ctx)
	for {
		select {
		case text := <-c.queue:
			if conn.Write(ctx, websocket.MessageText, text) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *hall) publish(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.RLock()
	for c := range h.rooms[r.URL.Query().Get("id")] {
		select {
		case c.queue <- text:
		default:
			c.end() // too slow
		}
	}
	h.mu.RUnlock()
	w.WriteHeader(http.StatusAccepted)
}
