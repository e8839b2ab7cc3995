package broker_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// nodes is a cluster of three in processes of their own.
type nodes struct {
	t     *testing.T
	dir   string
	addrs []string // for each other
	all   []*process
}

const testSecret = "a secret of the tests, no more"

// freeAddresses are n free ones of this machine. Where there is more than one
// loopback address they are of one that nobody else uses: a port is free again
// until the node opens it.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	}
	for range n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

func startNodes(t *testing.T, change ...func(n int, cmd *exec.Cmd)) *nodes {
	t.Helper()
	c := &nodes{t: t, dir: t.TempDir(), addrs: freeAddresses(t, 3)}
	c.start(change...)
	return c
}

// start starts all nodes at once, as a first start must.
func (c *nodes) start(change ...func(n int, cmd *exec.Cmd)) {
	c.t.Helper()
	c.all = nil
	for n := range c.addrs {
		c.all = append(c.all, c.launch(n, change...))
	}
	for _, p := range c.all {
		p.await(c.t)
	}
}

func (c *nodes) launch(n int, change ...func(n int, cmd *exec.Cmd)) *process {
	c.t.Helper()
	return launch(c.t, c.data(n), func(cmd *exec.Cmd) {
		text, err := json.Marshal(c.config(n))
		if err != nil {
			c.t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, nodeCluster+"="+string(text))
		for _, f := range change {
			f(n, cmd)
		}
	})
}

func (c *nodes) data(n int) string { return filepath.Join(c.dir, fmt.Sprint("n", n)) }

func (c *nodes) config(n int) broker.Cluster {
	return broker.Cluster{Name: "test", Node: fmt.Sprint("n", n), Listen: c.addrs[n], Routes: c.addrs, Secret: testSecret}
}

// again starts a node that has ended.
func (c *nodes) again(n int) {
	c.t.Helper()
	p := c.launch(n)
	p.await(c.t)
	c.all[n] = p
}

// ready waits until a node says that it can serve.
func (c *nodes) ready(n int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("node %d is ready", n), func() bool {
		status, _ := call(c.t, c.all[n].Server, http.MethodGet, "/readyz", "", "")
		return status == http.StatusOK
	})
}

// rules gives the demo app rules (JSON), and waits until all nodes know them:
// one that does not yet keeps messages where they are not looked for.
func (c *nodes) rules(rules, part string) {
	c.t.Helper()
	setRules(c.t, c.all[0].Server, rules)
	for i, p := range c.all {
		eventually(c.t, fmt.Sprintf("node %d knows the rules", i), func() bool {
			_, body := call(c.t, p.Server, http.MethodGet, "/v1/apps/"+p.App, p.AccountToken, "")
			return strings.Contains(body, part)
		})
	}
}

// pressure is publishers that publish to all nodes in turn: what one refuses or
// does not answer goes to the next, with the same id, as the SDKs do.
type pressure struct {
	channels []string
	halt     atomic.Bool
	run      sync.WaitGroup
	acks     [][]sent
	count    atomic.Int64
	longest  atomic.Int64 // until one was answered, in nanoseconds
	failed   atomic.Int64
}

func (c *nodes) load(name string, publishers int, channels ...string) *pressure {
	l := &pressure{channels: channels, acks: make([][]sent, publishers)}
	servers := make([]*brokertest.Server, len(c.all))
	for i, p := range c.all {
		servers[i] = p.Server
	}
	client := &http.Client{Timeout: 11 * time.Second}
	for i := range publishers {
		l.run.Go(func() {
			for n := 0; !l.halt.Load(); n++ {
				m := sent{channel: channels[(i+n)%len(channels)], id: fmt.Sprintf("%s.%d.%d", name, i, n)}
				began := time.Now()
				for try := 0; ; try++ {
					answer, ok := publishVia(client, servers[(i+n+try)%len(servers)], m)
					if ok {
						m.position = answer.Position
						break
					}
					if time.Since(began) > time.Minute {
						l.failed.Add(1)
						return
					}
				}
				took := int64(time.Since(began))
				for old := l.longest.Load(); took > old && !l.longest.CompareAndSwap(old, took); old = l.longest.Load() {
				}
				l.acks[i] = append(l.acks[i], m)
				l.count.Add(1)
			}
		})
	}
	return l
}

// more waits until so many more publishes were answered.
func (l *pressure) more(t *testing.T, n int64) {
	t.Helper()
	n += l.count.Load()
	eventually(t, "more publishes are answered", func() bool { return l.count.Load() >= n })
}

func (l *pressure) stop(t *testing.T) {
	t.Helper()
	l.halt.Store(true)
	l.run.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d publishes were never answered", n)
	}
	t.Logf("%d publishes; one took %v at most", l.count.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond))
}

func publishVia(client *http.Client, s *brokertest.Server, m sent) (p protocol.Published, ok bool) {
	return publishWith(client, s, m.channel, m.id, "1")
}

// complete fails unless the client has got exactly what the channels keep.
func (c *nodes) complete(what string, client *tail, kept map[string][]frame) {
	c.t.Helper()
	total := 0
	for _, fs := range kept {
		total += len(fs)
	}
	eventually(c.t, "all has come to "+what, func() bool { return client.count() >= total })
	for ch, fs := range kept {
		got, want := idsOf(client.of(ch)), idsOf(fs)
		if len(got) != len(want) {
			c.t.Errorf("%s got %d messages of %s, of %d", what, len(got), ch, len(want))
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				c.t.Errorf("%s, %s: message %d is %s, want %s", what, ch, i, got[i], want[i])
				break
			}
		}
	}
}
