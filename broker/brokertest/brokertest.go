// Package brokertest runs a whole Fanfare node for a test: the real one, on a
// free port of this machine, with an empty data folder.
package brokertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
)

// Server is a running node with its demo app. It stops when the test ends.
type Server struct {
	URL            string
	App            string
	PublishableKey string // may subscribe to everything
	SecretKey      string
	AccountToken   string
	Doors          map[string]string // what other services' clients show, by their names in demo.env
	Link           string
	Data           string
	Broker         *broker.Broker

	stop func() error
}

// Start runs a node. Each change may alter its configuration first.
func Start(t testing.TB, change ...func(*broker.Config)) *Server {
	t.Helper()
	c := broker.Config{
		Listen:    "127.0.0.1:0",
		Data:      t.TempDir(),
		DrainTime: time.Millisecond,
		Logger:    slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	b, err := broker.New(t.Context(), c)
	if err != nil {
		t.Fatalf("start a node: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var stopped error
	stop := func() error {
		if ctx.Err() == nil {
			cancel()
			if stopped = <-done; stopped == nil {
				stopped = b.Close()
			}
		}
		return stopped
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop the node: %v", err)
		}
	})
	w := b.Welcome()
	return &Server{
		URL: w.URL, App: string(w.App), PublishableKey: w.PublishableKey, SecretKey: w.SecretKey,
		AccountToken: w.AccountToken, Doors: w.Doors, Link: w.Link, Data: c.Data, Broker: b, stop: stop,
	}
}

// Stop stops the node gracefully, before the test ends.
func (s *Server) Stop() error { return s.stop() }
