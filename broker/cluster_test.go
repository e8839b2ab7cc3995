package broker_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestCluster is three nodes that are one server.
//
// claims: 4.2 3.12 9.12
func TestCluster(t *testing.T) {
	began := time.Now()
	c := startNodes(t)
	t.Logf("three nodes are up after %v", time.Since(began).Round(time.Millisecond))
	c.rules(keepMuch, `"much"`)
	for i, p := range c.all {
		if p.App != c.all[0].App || p.SecretKey != c.all[0].SecretKey || p.AccountToken != c.all[0].AccountToken {
			t.Errorf("node %d has another demo app", i)
		}
		c.ready(i)
	}
	t.Run("any node serves any client", c.anyNode)
	t.Run("presence", c.presence)
	t.Run("kick and revoked key", c.kicks)
	t.Run("occupancy and channels", c.occupancy)
	t.Run("limits", c.limits)
	t.Run("usage", c.usage)
	t.Run("connections and refusals", c.inspected)
}

func (c *nodes) anyNode(t *testing.T) {
	clients := map[string]*tail{}
	for i, p := range c.all {
		ws, sse := newTail(t, "much:any", "none:any"), newTail(t, "much:any")
		ws.overWS(p.Server)
		sse.overSSE(p.Server)
		clients[fmt.Sprint("ws at ", i)], clients[fmt.Sprint("sse at ", i)] = ws, sse
	}
	last := protocol.Position("")
	for i := range 30 {
		// A condition on what another node was answered holds at once.
		body := fmt.Sprintf(`{"channel":"much:any","id":"m%d","data":%d,"if_position":%q}`, i, i, last)
		status, text := post(t, c.all[i%3].Server, "/v1/messages", c.all[0].SecretKey, body)
		if status != http.StatusOK {
			t.Fatalf("publish at node %d: %d %s", i%3, status, text)
		}
		last = protocol.Position(decode(t, text).at(t))
	}
	status, text := post(t, c.all[1].Server, "/v1/messages", c.all[0].SecretKey, `{"channel":"much:any","data":1,"if_position":""}`)
	if status != http.StatusConflict || !strings.Contains(text, string(last)) {
		t.Errorf("a condition that does not hold: %d %s", status, text)
	}
	if again, ok := tryPublish(c.all[2].Server, "much:any", "m3", "3"); !ok || !again.Duplicate {
		t.Errorf("an id that another node took: %+v %v", again, ok)
	}
	want := history(t, c.all[0].Server, "much:any")
	if len(want) != 30 {
		t.Fatalf("%d messages are kept", len(want))
	}
	rising(t, "history", want)
	for i, p := range c.all {
		if got := history(t, p.Server, "much:any"); fmt.Sprint(idsOf(got)) != fmt.Sprint(idsOf(want)) {
			t.Errorf("node %d has another history", i)
		}
	}
	for what, client := range clients {
		c.complete(what, client, map[string][]frame{"much:any": want})
	}
}

// at is the position that an answer to a publish tells.
func (f frame) at(t *testing.T) string {
	t.Helper()
	if f.Position == nil {
		t.Fatalf("no position: %s", f.raw)
	}
	return string(*f.Position)
}

func (c *nodes) presence(t *testing.T) {
	s0, s1, s2 := c.all[0].Server, c.all[1].Server, c.all[2].Server
	ann := user(t, s0, "ann")
	if f := ask(ann, "room:1", "enter", `{"at":0}`); f.Type != protocol.TypePresenceOK {
		t.Fatal(f.raw)
	}
	members := func(want string) {
		t.Helper()
		for i, p := range c.all {
			got := ""
			eventually(t, fmt.Sprintf("node %d has the members %s", i, want), func() bool {
				_, got = call(t, p.Server, http.MethodGet, "/v1/presence?channel=room:1", p.SecretKey, "")
				return strings.Contains(got, want)
			})
		}
	}
	members(`"members":[{"user":"ann","data":{"at":0},"connections":1}],"count":1`)
	eve, refused := watchers()["ws"](t, s2, userToken(t, s2, "eve"), "room:1", "presence")
	if refused != nil {
		t.Fatal(refused.raw)
	}
	is := func(want string) {
		t.Helper()
		if got := say(eve.next()); got != want {
			t.Fatalf("told %s, want %s", got, want)
		}
	}
	is(`presence|sync|ann {"at":0} 1`)
	bob := user(t, s1, "bob")
	ask(bob, "room:1", "enter", `2`)
	is(`presence|enter|bob 2 1`)
	other := user(t, s1, "ann") // on another node: one member
	ask(other, "room:1", "enter", `{"at":1}`)
	is(`presence|update|ann {"at":1} 2`)
	members(`"members":[{"user":"ann","data":{"at":1},"connections":2},{"user":"bob","data":2,"connections":1}],"count":2`)
	ask(ann, "room:1", "leave", "")
	is(`presence|update|ann {"at":1} 1`)
	ask(other, "room:1", "leave", "")
	is(`presence|leave|ann  0`)
	ask(bob, "room:1", "leave", "")
	is(`presence|leave|bob  0`)
	members(`"members":[],"count":0`)
}

func (c *nodes) kicks(t *testing.T) {
	s0, s1, s2 := c.all[0].Server, c.all[1].Server, c.all[2].Server
	there, here := user(t, s2, "kicked"), user(t, s0, "kicked")
	if status, body := call(t, s0, http.MethodDelete, "/v1/connections?user=kicked", s0.SecretKey, ""); status != 200 || strings.TrimSpace(body) != `{"ended":2}` {
		t.Errorf("kick: %d %s", status, body)
	}
	there.want(protocol.TypeClose, protocol.CodeKicked)
	here.want(protocol.TypeClose, protocol.CodeKicked)

	key, id := makeKey(t, s0, `{"kind":"publishable","grants":{"subscribe":["*"]}}`)
	eventually(t, "another node knows a new key", func() bool {
		status, _ := call(t, s1, http.MethodGet, "/v1/presence?channel=a", key, "")
		return status != http.StatusUnauthorized
	})
	client := ready(t, s1, key)
	if status, body := call(t, s2, http.MethodDelete, "/v1/apps/"+s0.App+"/keys/"+id, s0.AccountToken, ""); status != http.StatusNoContent {
		t.Fatal(body)
	}
	client.want(protocol.TypeClose, protocol.CodeKeyExpired)
}

func (c *nodes) occupancy(t *testing.T) {
	s0, s1, s2 := c.all[0].Server, c.all[1].Server, c.all[2].Server
	c.rules(`[{"namespace":"open","occupancy":true}]`, `"occupancy"`)
	one := newTail(t, "open:1")
	one.overSSE(s0)
	two, refused := watchers()["ws"](t, s1, s1.SecretKey, "open:1", "occupancy")
	if refused != nil {
		t.Fatal(refused.raw)
	}
	until := func(want string) {
		t.Helper()
		for f := two.next(); ; f = two.next() {
			if f.Type == "end" {
				t.Fatalf("it was never told that there are %s", want)
			}
			if strings.Contains(f.raw, want) {
				return
			}
		}
	}
	until(`"subscribers":2`)
	three := newTail(t, "open:1", "open:2")
	three.overWS(s2)
	until(`"subscribers":3`)
	for i, p := range c.all {
		_, body := call(t, p.Server, http.MethodGet, "/v1/channels?prefix=open:", p.SecretKey, "")
		if !strings.Contains(body, `{"channel":"open:1","subscribers":3`) || !strings.Contains(body, `{"channel":"open:2","subscribers":1`) {
			t.Errorf("node %d lists %s", i, body)
		}
	}
	three.drop()
	until(`"subscribers":2`)
}

func (c *nodes) limits(t *testing.T) {
	s0 := c.all[0].Server
	app, secret := makeApp(t, s0, "small")
	if status, body := call(t, s0, http.MethodPatch, "/v1/apps/"+app, s0.AccountToken, `{"limits":{"connections":2}}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for i := range 2 {
		eventually(t, "a connection is taken", func() bool {
			return dialWS(t, c.all[i].Server, "").hello(secret).Type == protocol.TypeWelcome
		})
	}
	eventually(t, "the third node knows of the others' connections", func() bool {
		w := dialWS(t, c.all[2].Server, "")
		defer w.close()
		return w.hello(secret).Code == protocol.CodeConnectionLimit
	})
}

// TestClusterLosesANode kills a node under load, and later lets another one
// stand still for so long that it is taken for dead.
//
// claims: 3.3 3.11 4.2 4.6 11.5
func TestClusterLosesANode(t *testing.T) {
	c := startNodes(t)
	c.rules(keepMuch, `"much"`)
	channels := []string{"much:0", "much:1", "much:2", "much:3", "much:4", "much:5"}
	stay, ws, sse := newTail(t, channels...), newTail(t, channels...), newTail(t, channels...)
	stay.overWS(c.all[2].Server)
	ws.overWS(c.all[0].Server)
	sse.overSSE(c.all[0].Server)
	ann := user(t, c.all[0].Server, "ann")
	ask(ann, "room", "enter", "1")
	eve, refused := watchers()["sse"](t, c.all[2].Server, userToken(t, c.all[2].Server, "eve"), "room", "presence")
	if refused != nil {
		t.Fatal(refused.raw)
	}
	eventually(t, "ann is seen on another node", func() bool { return strings.Contains(say(eve.next()), "ann") })

	l := c.load("m", 6, channels...)
	l.more(t, 300)
	killed := time.Now()
	c.all[0].kill()
	<-ws.down
	<-sse.down
	ws.overWS(c.all[1].Server)
	sse.overSSE(c.all[2].Server)
	if !ws.recovered() || !sse.recovered() {
		t.Errorf("not recovered: %+v %+v", ws.told, sse.told)
	}
	t.Logf("clients of the killed node are back after %v", time.Since(killed).Round(time.Millisecond))
	for f := eve.next(); f.Action != protocol.PresenceLeave; f = eve.next() {
		if f.Type == "end" {
			t.Fatal("it is never told that ann, whose node is dead, has left")
		}
	}
	if took := time.Since(killed); took > 15*time.Second {
		t.Errorf("ann left after %v", took)
	} else {
		t.Logf("members of the killed node left after %v", took.Round(time.Millisecond))
	}
	l.more(t, 300)
	for _, n := range []int{1, 2} {
		c.ready(n)
	}
	c.again(0)
	c.ready(0)
	l.more(t, 100)

	stopped := c.all[1].cmd.Process
	if err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pause, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	<-pause.Done() // longer than the others wait for a word of it
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	l.more(t, 300)
	l.stop(t)

	kept := map[string][]frame{}
	allThere(t, c.all[0].Server, channels, l.acks)
	for _, ch := range channels {
		kept[ch] = history(t, c.all[0].Server, ch)
	}
	c.complete("a client of another node", stay, kept)
	c.complete("a client of the killed node, over WebSocket", ws, kept)
	c.complete("a client of the killed node, over SSE", sse, kept)
	select {
	case <-stay.down:
		t.Error("a client of another node lost its connection")
	default:
	}
}

// TestClusterRollingRestart restarts each node in turn, under load.
//
// claims: 3.3 4.2 6.4
func TestClusterRollingRestart(t *testing.T) {
	c := startNodes(t)
	c.rules(keepMuch, `"much"`)
	channels := []string{"much:0", "much:1", "much:2", "much:3"}
	clients := make([]*tail, 3)
	for i := range clients {
		clients[i] = newTail(t, channels...)
		clients[i].overWS(c.all[i].Server)
	}
	// A node that restarts comes back at another address: each turn has its own
	// publishers.
	acks := [][]sent{}
	var longest time.Duration
	for n := range c.all {
		l := c.load(fmt.Sprint("turn", n), 4, channels...)
		l.more(t, 100)
		c.all[n].stop(t)
		<-clients[n].down
		clients[n].overWS(c.all[(n+1)%3].Server)
		if !clients[n].recovered() {
			t.Errorf("turn %d: not recovered: %+v", n, clients[n].told)
		}
		for i, other := range clients {
			select {
			case <-other.down:
				t.Errorf("turn %d: client %d was cut off, too", n, i)
			default:
			}
		}
		l.more(t, 100)
		c.again(n)
		c.ready(n)
		l.stop(t)
		acks = append(acks, l.acks...)
		longest = max(longest, time.Duration(l.longest.Load()))
		clients[n].drop()
		clients[n].overWS(c.all[n].Server)
	}
	t.Logf("no publish waited longer than %v", longest.Round(time.Millisecond))
	kept := map[string][]frame{}
	for _, ch := range channels {
		kept[ch] = history(t, c.all[0].Server, ch)
		rising(t, ch, kept[ch])
	}
	allThere(t, c.all[1].Server, channels, acks)
	for i, client := range clients {
		c.complete(fmt.Sprint("client ", i), client, kept)
	}
}
