package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/js"
)

// source is where Fanfare comes from: a node in this process, or another one.
// Its owner calls run, and close after it.
type source struct {
	client     *fanfare.Client
	browserURL string                  // "" = this origin
	mounts     map[string]http.Handler // what this process serves of it
	run        func(context.Context) error
	close      func() error
}

// openSource embeds a node with its data under c.data, or takes the one that
// the environment names. selfURL is where this process reaches itself.
func openSource(ctx context.Context, c config, selfURL string, log *slog.Logger) (*source, error) {
	if c.fanfareURL != "" {
		client, err := fanfare.New(c.fanfareURL, c.fanfareKey)
		if err != nil {
			return nil, fmt.Errorf("FANFARE_URL or FANFARE_SECRET_KEY: %w", err)
		}
		return &source{
			client: client, browserURL: c.fanfareURL,
			mounts: map[string]http.Handler{"GET /sdk/": http.HandlerFunc(serveSDK)},
			run:    func(ctx context.Context) error { <-ctx.Done(); return nil },
			close:  func() error { return nil },
		}, nil
	}
	node, err := broker.New(ctx, broker.Config{
		Listen: "-", PublicURL: selfURL, Data: filepath.Join(c.data, "fanfare"), DrainTime: time.Second, Logger: log,
		Rules: keptRules(),
	})
	if err != nil {
		return nil, err
	}
	client, err := fanfare.New(selfURL, node.Welcome().SecretKey)
	if err != nil {
		_ = node.Close() // the error before is the cause
		return nil, err
	}
	return &source{
		client: client,
		mounts: map[string]http.Handler{"/v1/": node.Handler(), "/sdk/": node.Handler()},
		run:    node.Run, close: node.Close,
	}, nil
}

// serveSDK serves the browser's SDK for a Fanfare that is elsewhere: pages may
// load scripts of their own origin only.
func serveSDK(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/sdk/fanfare.js", "/sdk/fanfare.mjs":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=300")
		http.ServeFileFS(w, r, js.Dist, "dist/"+filepath.Base(r.URL.Path))
	default:
		http.NotFound(w, r)
	}
}
