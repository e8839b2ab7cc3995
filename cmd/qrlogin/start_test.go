package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestUsersFile(t *testing.T) {
	dir := t.TempDir()
	_, made, err := openUsers(dir, "", argon())
	if err != nil || len(made) < 16 {
		t.Fatalf("password %q, %v", made, err)
	}
	path := filepath.Join(dir, "users.json")
	body, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(body), made) || !strings.Contains(string(body), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("the file: %s %v", body, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, second, err := openUsers(dir, "", argon())
	if err != nil || second != "" {
		t.Fatalf("the second start made a password: %q, %v", second, err)
	}
	for password, want := range map[string]bool{made: true, "wrong": false, "": false} {
		if _, ok, err := again.check(t.Context(), "demo", password); ok != want || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	if _, ok, _ := again.check(t.Context(), "nobody", made); ok {
		t.Error("nobody got in")
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openUsers(dir, "", argon()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestConfig(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	c, err := parseConfig([]string{"--data", "here"}, env(map[string]string{"QRLOGIN_LISTEN": "127.0.0.1:1", "QRLOGIN_DATA": "there", "QRLOGIN_TRUSTED_PROXY": "10.0.0.0/8, ::1"}), io.Discard)
	if err != nil || c.listen != "127.0.0.1:1" || c.data != "here" || len(c.proxies) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := parseConfig(nil, env(nil), io.Discard); err != nil || c.listen != "127.0.0.1:8090" || len(c.proxies) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, args := range [][]string{{"--listen", "nowhere"}, {"--public-url", "id.example.com"}, {"--trusted-proxy", "all"}, {"--demo-password", "short"}, {"--digits", "sometimes"}, {"--decide", "1h"}, {"--device-code", "1h"}, {"serve"}, {"--nothing"}} {
		if _, err := parseConfig(args, env(nil), io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	if _, err := parseConfig(nil, env(map[string]string{"FANFARE_URL": "http://127.0.0.1:1"}), io.Discard); err == nil {
		t.Error("a Fanfare without a key was taken")
	}
	var help bytes.Buffer
	_, _ = parseConfig([]string{"--help"}, env(map[string]string{"QRLOGIN_DEMO_PASSWORD": "very-secret"}), &help)
	if strings.Contains(help.String(), "very-secret") || !strings.Contains(help.String(), "public-url") {
		t.Errorf("help: %s", &help)
	}
}

// TestServe is the program itself, from start to a graceful stop.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out safeBuffer
	c := config{listen: "127.0.0.1:0", data: t.TempDir(), site: "Test"}
	done := make(chan error, 1)
	go func() { done <- serve(ctx, c, &out, slog.New(slog.DiscardHandler)) }()
	address := regexp.MustCompile(`open   (http://localhost:\d+)/login`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !address.MatchString(out.String()) {
		select {
		case err := <-done:
			t.Fatalf("it stopped: %v", err)
		case <-tick.C:
		}
	}
	base := address.FindStringSubmatch(out.String())[1]
	for path, want := range map[string]int{"/login": 200, "/sdk/fanfare.mjs": 200, "/livez": 200, "/v1/ws": 426, "/nothing": 404} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if !regexp.MustCompile(`password   [a-z2-7]{4}(-[a-z2-7]{4}){3}\n`).MatchString(out.String()) {
		t.Errorf("no password is printed:\n%s", out.String())
	}
	if err := serve(ctx, config{listen: strings.Replace(base, "http://localhost", "127.0.0.1", 1), data: t.TempDir()}, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a taken port: %v", err)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("stopped with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
}
