package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker"
)

// node is a Fanfare in a process of its own, so that it can be killed. It is
// reached over a wire, which stays when the node comes back at another port.
type node struct {
	t    *testing.T
	data string
	wire *wire
	cmd  *exec.Cmd
	key  string
}

func startNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, data: t.TempDir()}
	url := n.start()
	n.wire = newWire(t, strings.TrimPrefix(url, "http://"))
	t.Cleanup(n.kill)
	return n
}

// start runs the node on what its folder holds and says where.
func (n *node) start() (url string) {
	n.t.Helper()
	n.cmd = exec.Command(os.Args[0])
	n.cmd.Env = append(os.Environ(), "QRLOGIN_IS_A_NODE="+n.data)
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	var says struct{ URL, Key string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&says); err != nil {
		n.t.Fatalf("the node does not say where it is: %v", err)
	}
	n.key = cmp.Or(n.key, says.Key) // told at the first start only
	return says.URL
}

// kill ends it as a loss of power would.
func (n *node) kill() {
	_ = n.cmd.Process.Kill() // it may be dead already
	_ = n.cmd.Wait()
}

// back is the node anew, on what the dead one left.
func (n *node) back() {
	n.t.Helper()
	n.wire.lead(strings.TrimPrefix(n.start(), "http://"))
}

// beNode is this program as a node, until it is killed.
func beNode(data string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b, err := broker.New(ctx, broker.Config{Listen: "127.0.0.1:0", Data: data, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		w := b.Welcome()
		fmt.Printf("{%q:%q,%q:%q}\n", "url", w.URL, "key", w.SecretKey)
		err = b.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// TestT16FanfareIsKilled: Fanfare dies between the scan and the yes, and comes
// back after it. The page is signed in, and what is open afterwards is live.
func TestT16FanfareIsKilled(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := startSiteWith(t, config{fanfareURL: "http://" + n.wire.addr, fanfareKey: n.key})
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	screen.open(s.url + "/login")
	screen.state("ready")
	screen.linked()
	mobile.open(screen.scan("login"))
	mobile.signIn()
	mobile.state("ask")
	screen.state("scanned")
	n.kill()
	screen.until(`document.querySelector("fanfare-qr-login").dataset.link === "off"`)
	mobile.click(`[data-decide="approve"]`)
	n.back()
	screen.shows("Hello, Demo User")
	mobile.state("done")
	screen.until(`document.querySelector("#account").dataset.link === "live"`)
}
