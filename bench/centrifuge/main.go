// Command centrifuge is the least server on the centrifuge library: its JSON
// WebSocket, the memory engine, and an HTTP API like Centrifugo's. It exists to
// be measured beside Fanfare.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/centrifugal/centrifuge"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	history := flag.Bool("history", false, "keep each channel's last 100 messages for 5 minutes, in memory, and let clients recover")
	flag.Parse()
	if err := run(*listen, *history); err != nil {
		fmt.Fprintln(os.Stderr, "centrifuge:", err)
		os.Exit(1)
	}
}

func run(listen string, history bool) error {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: history, EnablePositioning: history}}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	a := &api{node: node}
	if history {
		a.options = []centrifuge.PublishOption{centrifuge.WithHistory(100, 5*time.Minute)}
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	mux.HandleFunc("POST /api/publish", a.publish)
	mux.HandleFunc("POST /api/batch", a.batch)
	return http.ListenAndServe(listen, mux)
}

// api is what publishes. It may be called concurrently.
type api struct {
	node    *centrifuge.Node
	options []centrifuge.PublishOption
}

type publication struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// result is the answer to one publication.
type result struct {
	Result struct {
		Offset uint64 `json:"offset"`
		Epoch  string `json:"epoch"`
	} `json:"result"`
}

func (a *api) one(p publication) (r result, err error) {
	done, err := a.node.Publish(p.Channel, p.Data, a.options...)
	r.Result.Offset, r.Result.Epoch = done.Offset, done.Epoch
	return r, err
}

func (a *api) publish(w http.ResponseWriter, r *http.Request) {
	var p publication
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	done, err := a.one(p)
	answer(w, done, err)
}

func (a *api) batch(w http.ResponseWriter, r *http.Request) {
	var b struct {
		Commands []struct {
			Publish publication `json:"publish"`
		} `json:"commands"`
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var replies struct {
		Replies []map[string]result `json:"replies"`
	}
	for _, c := range b.Commands {
		done, err := a.one(c.Publish)
		if err != nil {
			answer(w, nil, err)
			return
		}
		replies.Replies = append(replies.Replies, map[string]result{"publish": done})
	}
	answer(w, replies, nil)
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // who does not wait for the answer needs none
}
