package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestClusterFromOneNode backs up a single server and begins a cluster with
// that: an operator's way from one node to three.
//
// claims: 3.3
func TestClusterFromOneNode(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, keepMuch)
	key, _ := makeKey(t, s, `{"kind":"secret","name":"mine"}`)
	for i := range 50 {
		publish(t, s, fmt.Sprint("much:", i%4), fmt.Sprint(i))
	}
	client := newTail(t, "much:0")
	client.overWS(s)
	client.drop()
	status, backup := getBackup(t, s, s.AccountToken)
	if status != http.StatusOK {
		t.Fatalf("backup: %d", status)
	}
	c := &nodes{t: t, dir: t.TempDir(), addrs: freeAddresses(t, 3)}
	if err := broker.RestoreForCluster(bytes.NewReader(backup), c.data(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.New(t.Context(), broker.Config{Listen: "-", Data: c.data(1), PublicURL: "http://x"}); err == nil || !strings.Contains(err.Error(), "backup for a cluster") {
		t.Errorf("a single server on the folder: %v", err)
	}
	c.start()
	for i, p := range c.all {
		if p.SecretKey != s.SecretKey || p.App != s.App || p.AccountToken != s.AccountToken {
			t.Errorf("node %d has another demo app", i)
		}
		for ch := range 4 {
			name := fmt.Sprint("much:", ch)
			if is, was := history(t, p.Server, name), history(t, s, name); fmt.Sprint(idsOf(is)) != fmt.Sprint(idsOf(was)) {
				t.Errorf("node %d has %d messages of %s, the backup %d", i, len(is), name, len(was))
			}
		}
		own := *p.Server
		own.SecretKey = key // which is sealed in the records
		if f := dialWS(t, p.Server, "").hello(makeToken(t, &own, `{"user":"ann","grants":{"subscribe":["*"]}}`)); f.Type != protocol.TypeWelcome {
			t.Errorf("node %d: a token by a key from before: %s", i, f.raw)
		}
	}
	client.overWS(c.all[2].Server)
	if client.recovered() || client.told[0].Reason != "epoch" {
		t.Errorf("a client from before is told: %s", client.told[0].raw)
	}
	if _, err := os.Stat(filepath.Join(c.data(1), "seed.tar")); !os.IsNotExist(err) {
		t.Errorf("the backup is still there: %v", err)
	}

	// And back: a backup of the cluster begins a single server.
	status, backup = getBackup(t, c.all[0].Server, c.all[0].AccountToken)
	dir := filepath.Join(t.TempDir(), "data")
	if status != http.StatusOK {
		t.Fatalf("backup of the cluster: %d", status)
	}
	if err := broker.Restore(t.Context(), bytes.NewReader(backup), dir, nil); err != nil {
		t.Fatal(err)
	}
	one := brokertest.Start(t, func(c *broker.Config) { c.Data = dir })
	if got := history(t, one, "much:1"); len(got) != len(history(t, s, "much:1")) || one.SecretKey != s.SecretKey {
		t.Errorf("%d messages came back", len(got))
	}
	publish(t, one, "much:1", `"later"`)
}

// TestClusterSaysWhatIsWrong starts nodes that cannot become a cluster, and
// reads why from /readyz: they live on, and try.
//
// claims: 9.8
func TestClusterSaysWhatIsWrong(t *testing.T) {
	const right = testSecret
	for name, ex := range map[string]struct {
		other broker.Cluster // its name and secret; "" is as it should be
		want  string
	}{
		"unreachable":  {want: "cannot be reached (connection refused)"},
		"wrong secret": {other: broker.Cluster{Secret: "another secret of the tests"}, want: "another cluster secret"},
		"wrong name":   {other: broker.Cluster{Name: "other"}, want: "another cluster name"},
		"same node":    {other: broker.Cluster{Node: "n0"}, want: "has this node's name"},
	} {
		t.Run(name, func(t *testing.T) {
			addrs := freeAddresses(t, 4)
			one := broker.Cluster{Name: "test", Node: "n0", Listen: addrs[0], Routes: addrs[:3], Secret: right}
			url := beginNode(t, one, addrs[3])
			if ex.want != "cannot be reached (connection refused)" {
				two := broker.Cluster{Name: "test", Node: "n1", Listen: addrs[1], Routes: addrs[:3], Secret: right}
				if ex.other.Secret != "" {
					two.Secret = ex.other.Secret
				}
				if ex.other.Name != "" {
					two.Name = ex.other.Name
				}
				if ex.other.Node != "" {
					two.Node = ex.other.Node
				}
				beginNode(t, two, freeAddresses(t, 1)[0])
			}
			said := ""
			eventually(t, "the node says "+ex.want, func() bool {
				status, body := get(t, url+"/readyz")
				said = body
				return status == http.StatusServiceUnavailable && strings.Contains(body, ex.want) && strings.Contains(body, addrs[2])
			})
			if status, body := get(t, url+"/livez"); status != http.StatusOK {
				t.Errorf("it does not live: %d %s", status, body)
			}
			if status, body := get(t, url+"/v1/channels"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"unavailable"`) {
				t.Errorf("it answers: %d %s", status, body)
			}
			if strings.Contains(said, right) {
				t.Errorf("the secret is told: %s", said)
			}
		})
	}
}

// beginNode starts a node that waits for others, and returns its URL at once.
func beginNode(t *testing.T, c broker.Cluster, listen string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	dir := filepath.Join(t.TempDir(), "data")
	go func() {
		b, err := broker.New(ctx, broker.Config{Listen: listen, Data: dir, Cluster: &c, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = b.Close()
		}
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err == nil {
			t.Error("a node began that should not have")
		}
	})
	return "http://" + listen
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, ""
	}
	return r.StatusCode, string(b)
}

// TestClusterWithAFullDisk fills the disk of one node: the others go on, it
// says that it is not ready, and joins again with some space.
//
// claims: 3.3 4.6
func TestClusterWithAFullDisk(t *testing.T) {
	c := &nodes{t: t, dir: t.TempDir(), addrs: freeAddresses(t, 3)}
	small := filepath.Join(c.dir, "n0")
	if err := os.MkdirAll(small, 0o700); err != nil {
		t.Fatal(err)
	}
	c.start(func(n int, cmd *exec.Cmd) {
		if n == 0 {
			onSmallDisk(small, "128m")(cmd)
		}
	})
	c.rules(keepMuch, `"much"`)
	client := newTail(t, "much:0", "much:1")
	client.overWS(c.all[0].Server)
	l := c.load("m", 4, "much:0", "much:1")
	l.more(t, 100)
	c.all[0].order(t, "fill 0")
	eventually(t, "the node with the full disk is not ready", func() bool {
		status, _ := call(t, c.all[0].Server, http.MethodGet, "/readyz", "", "")
		return status == http.StatusServiceUnavailable
	})
	l.more(t, 500)
	for _, n := range []int{1, 2} {
		c.ready(n)
	}
	c.all[0].order(t, "free")
	l.more(t, 100)
	l.stop(t)
	kept := map[string][]frame{}
	for _, ch := range []string{"much:0", "much:1"} {
		kept[ch] = history(t, c.all[1].Server, ch)
	}
	allThere(t, c.all[1].Server, []string{"much:0", "much:1"}, l.acks)
	c.complete("a client of the node with the full disk", client, kept)
}
