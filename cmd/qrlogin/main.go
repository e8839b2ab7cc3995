package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "qrlogin:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "client" {
		return clientCommand(args[1:], os.Getenv, os.Stdout, os.Stderr)
	}
	c, err := parseConfig(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	return serve(ctx, c, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// serve runs the site until ctx is done. Everything that it starts has ended
// when it returns.
func serve(ctx context.Context, c config, out io.Writer, log *slog.Logger) (err error) {
	listener, err := net.Listen("tcp", c.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken by another program: stop that one, or choose another address with --listen", c.listen)
	}
	if err != nil {
		return err
	}
	defer listener.Close()
	selfURL := localURL(listener.Addr())
	publicURL := c.publicURL
	if publicURL == "" {
		publicURL = selfURL
	}
	list, password, err := openUsers(c.data, c.demoPassword, argon())
	if err != nil {
		return err
	}
	known, err := openBrowsers(c.data)
	if err != nil {
		return err
	}
	hosts, err := readHosts(c.hosts)
	if err != nil {
		return err
	}
	src, err := openSource(ctx, c, selfURL, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	apps, keys, grants, err := openApps(c, src, log)
	if err != nil {
		return err
	}
	kept, pepper, err := openAttempts(c, src, keys)
	if err != nil {
		return err
	}
	a, err := newApp(appOptions{
		ff: src.client, fanfareURL: src.browserURL, mounts: src.mounts, users: list, browsers: known, publicURL: publicURL, site: c.site,
		showLink: isLocal(publicURL), proxies: c.proxies, policy: qrlogin.Policy(c.digits), times: c.times, hosts: hosts, devices: c.devices,
		forward: c.forward, clients: apps, keys: keys, grants: grants, attempts: kept, pepper: pepper, log: log,
	})
	if err != nil {
		return err
	}
	welcome(out, selfURL, publicURL, password, c)
	return work(ctx, listener, a, src, log)
}

// work serves until ctx is done or serving fails, then stops in good order:
// no new requests, the sockets sent away, the running requests finished.
func work(ctx context.Context, listener net.Listener, a *app, src *source, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler: a, BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	var mu sync.Mutex
	var failure error
	var wg sync.WaitGroup
	part := func(run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				mu.Lock()
				failure = errors.Join(failure, err)
				mu.Unlock()
			}
			stop() // one that ends ends all
		})
	}
	part(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	part(func() error { return src.run(ctx) })
	part(func() error { return a.run(ctx) })
	<-ctx.Done()
	// Long waits of pages would hold the shutdown up: they get a second.
	patience, done := context.WithTimeout(base, 2*time.Second)
	defer done()
	if err := server.Shutdown(patience); err != nil {
		cut()
		_ = server.Close() // what is left is long waits, which ask again
	}
	wg.Wait()
	a.settle()
	return failure
}

// welcome says what to do now.
func welcome(out io.Writer, selfURL, publicURL, password string, c config) {
	if password == "" {
		password = "(as printed at the first start; --demo-password sets another)"
	}
	open := publicURL
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "http" {
		open = selfURL // browsers take plain http for safe only on this computer
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	say("")
	say("  Fanfare QR login is running.")
	say("")
	say("  1. On this computer open   %s/login", open)
	say("  2. Scan the code with a phone, and sign in there")
	say("       name       demo")
	say("       password   %s", password)
	say("  3. Confirm on the phone, and type here the digits that it shows.")
	say("")
	if isLocal(publicURL) {
		say("  A phone cannot reach %s. Without one, follow the link below the code in a", publicURL)
		say("  private window. With one, start again on your network:")
		say("       go run ./cmd/qrlogin --listen 0.0.0.0:8090 --public-url http://<this computer's address>:8090")
		say("")
	} else if open != publicURL {
		say("  %s is plain http: good for trying out on a network that you trust, no more.", publicURL)
		say("")
	}
	say("  It listens on   %s", selfURL)
	say("  Data is in %s. Stop with Ctrl-C.", c.data)
	say("")
}

// localURL is how this computer reaches a listener of its own.
func localURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() || ip.IsLoopback() {
		host = "localhost" // browsers give passkeys to names only
	}
	return "http://" + net.JoinHostPort(host, port)
}

// isLocal reports whether no other machine can reach the URL.
func isLocal(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && onLoopback(u.Host)
}
