package main

import (
	"bufio"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker"
)

// welcome tells the person who started a server all that is needed to begin.
// Every command in it works as it is pasted into another shell, in any folder.
func welcome(con *console, w broker.Welcome, v versionInfo, took time.Duration) error {
	out := bufio.NewWriter(con.Out)
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	field := func(name, value string) { line("  %s  %s", con.paint(dim, fmt.Sprintf("%-15s", name)), value) }
	env, err := filepath.Abs(filepath.Join(w.DataDir, "demo.env"))
	if err != nil {
		return err
	}

	line("")
	line("%s %s  %s", con.paint(bold, "Fanfare "+v.Version+" is ready at"), con.paint(bold+";"+cyan, w.URL), con.paint(dim, fmt.Sprintf("(%d ms)", took.Milliseconds())))
	line("")
	field("dashboard", con.paint(cyan, w.Link))
	field("", con.paint(dim, "signs you in once, within 15 minutes; `fanfare link` makes another"))
	field("REST", w.URL+"/v1/messages    "+con.paint(dim, "described by "+w.URL+"/v1/openapi.json"))
	field("WebSocket", "ws"+strings.TrimPrefix(w.URL, "http")+"/v1/ws")
	field("SSE", w.URL+"/v1/sse")
	field("browser SDK", w.URL+"/sdk/fanfare.js")
	field("data folder", filepath.Dir(env))
	line("")
	field("app", "demo ("+string(w.App)+")")
	field("publishable key", w.PublishableKey+"  "+con.paint(dim, "may subscribe to everything; may stand in a page"))
	secret := w.SecretKey
	if !con.Color && !isTerminal(con.Out) { // a log keeps what it gets
		secret = redact(secret) + "  the whole key is in demo.env"
	}
	field("secret key", secret)
	if key := w.Doors["FANFARE_PUSHER_KEY"]; key != "" {
		field("Pusher", "app_id "+w.Doors["FANFARE_PUSHER_APP_ID"]+", key "+key+"  "+con.paint(dim, "its clients work here; all keys are in demo.env"))
	}
	if key := w.Doors["FANFARE_GOEASY_COMMON_KEY"]; key != "" {
		field("GoEasy", "common key "+key)
	}
	line("")
	line("%s paste this into a second terminal,", con.paint(bold, "Try it:"))
	line("")
	line("  . %s", shellQuote(env))
	line(`  curl -N "$FANFARE_URL/v1/sse?channel=hello" -H "Authorization: Bearer $FANFARE_PUBLISHABLE_KEY"`)
	line("")
	line("and this into a third one; the message comes out of the second:")
	line("")
	line("  . %s", shellQuote(env))
	line(`  curl "$FANFARE_URL/v1/messages" -H "Authorization: Bearer $FANFARE_SECRET_KEY" -d '{"channel":"hello","data":{"n":1}}'`)
	line("")
	return out.Flush()
}

// shellQuote is path as a POSIX shell reads it: bare where nothing in it is
// special.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@%", r)
	}
	if path != "" && !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// redact is a secret as it may be shown: a key's id, which is no secret.
func redact(secret string) string {
	if len(secret) < 48 {
		return "…"
	}
	return secret[:14] + "…"
}
