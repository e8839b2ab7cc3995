package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// NodeEvent is what became of another node.
type NodeEvent int

// The events.
const (
	NodeUp     NodeEvent = iota // it is there
	NodeDown                    // it has stopped, or nothing came from it for 3 s
	NodeMissed                  // it is there, but some of what it told was lost
)

const (
	beatEvery    = time.Second
	farewellTime = 10 * time.Second // a stop waits no longer for its word to go out
	deadAfter    = 3 * time.Second
	lookEvery    = 250 * time.Millisecond
	askPatience  = 2 * time.Second

	tellSubject = "c.n." // + topic; one subscription, so that all of a node's come in order
	askSubject  = "c.a."
	topicBeat   = "beat"

	headerNode   = "Fanfare-Node"   // who sends
	headerNumber = "Fanfare-Number" // of what it told
	headerEnd    = "Fanfare-End"    // the last part of an answer
)

// Peers is the other nodes of the cluster. Each tells the others once a second
// that it is there and whom it hears, by which all know who has a way to whom,
// and how much it has told, by which they know what was lost. All methods may
// be called concurrently. It lives as long as its Bus; without a cluster there
// is nobody, and nothing is done.
type Peers struct {
	nc   *nats.Conn // nil: no cluster
	name string
	id   string // of this life of the node
	subs []*nats.Subscription
	quit chan struct{}
	done sync.WaitGroup

	tell   sync.Mutex // held while telling, so that numbers go out in order
	number uint64

	mu      sync.Mutex
	seed    bool
	vouches bool
	nodes   map[string]*node // by id
	hear    map[string]func(string, []byte)
	answer  map[string]func(string, []byte, func([]byte))
	watch   []func(string, NodeEvent)
}

// node is another node as this one knows it.
type node struct {
	beat
	heard  time.Time
	number uint64 // of what it told last
}

// beat is what a node says once a second.
type beat struct {
	Node    string    `json:"node"`
	ID      string    `json:"id"`
	Began   time.Time `json:"began"`
	Hears   []string  `json:"hears"`
	Seed    bool      `json:"seed,omitempty"`    // it holds a backup for the cluster
	Vouches bool      `json:"vouches,omitempty"` // it has all that it ever acknowledged
	Bye     bool      `json:"bye,omitempty"`
}

func newPeers(name string) *Peers {
	return &Peers{
		name: name, id: rand.Text(), quit: make(chan struct{}), nodes: map[string]*node{},
		hear: map[string]func(string, []byte){}, answer: map[string]func(string, []byte, func([]byte)){},
	}
}

// start begins to speak and to listen over nc.
func (p *Peers) start(nc *nats.Conn) error {
	p.nc = nc
	for subject, fn := range map[string]nats.MsgHandler{tellSubject + ">": p.heard, askSubject + ">": p.asked} {
		sub, err := nc.Subscribe(subject, fn)
		if err != nil {
			return err
		}
		p.subs = append(p.subs, sub)
	}
	began := time.Now()
	p.done.Go(func() { p.run(began) })
	return nil
}

func (p *Peers) stop() {
	if p.nc == nil {
		return
	}
	close(p.quit)
	p.done.Wait()
	for _, s := range p.subs {
		_ = s.Unsubscribe() // the connection ends anyway
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	_ = p.nc.FlushWithContext(ctx) // so that the farewell goes out
}

func (p *Peers) run(began time.Time) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	last, beaten := time.Now(), time.Time{}
	for {
		if now := time.Now(); now.Sub(beaten) >= beatEvery {
			beaten = now
			p.send(p.beat(began))
		}
		select {
		case <-p.quit:
			b := p.beat(began)
			b.Bye = true
			p.send(b)
			return
		case now := <-look.C:
			p.lookAround(time.Since(last) - lookEvery)
			last = now
		}
	}
}

func (p *Peers) beat(began time.Time) beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := beat{Node: p.name, ID: p.id, Began: began, Hears: []string{}, Seed: p.seed, Vouches: p.vouches}
	for id := range p.nodes {
		b.Hears = append(b.Hears, id)
	}
	return b
}

func (p *Peers) send(b beat) {
	if text, err := json.Marshal(b); err == nil { // nothing in a beat fails
		_ = p.Tell(topicBeat, text) // a second later it is tried again
	}
}

// lookAround finds who is silent. What late says this node itself slept counts
// against nobody.
func (p *Peers) lookAround(late time.Duration) {
	p.mu.Lock()
	var gone []string
	for id, n := range p.nodes {
		if late > time.Second {
			n.heard = n.heard.Add(late)
		}
		if time.Since(n.heard) > deadAfter {
			gone = append(gone, id)
			delete(p.nodes, id)
		}
	}
	p.mu.Unlock()
	for _, id := range gone {
		p.report(id, NodeDown)
	}
}

func (p *Peers) report(id string, e NodeEvent) {
	p.mu.Lock()
	watch := slices.Clone(p.watch)
	p.mu.Unlock()
	for _, fn := range watch {
		fn(id, e)
	}
}

// heard takes what another node tells.
func (p *Peers) heard(m *nats.Msg) {
	from, topic := m.Header.Get(headerNode), m.Subject[len(tellSubject):]
	number, err := strconv.ParseUint(m.Header.Get(headerNumber), 10, 64)
	if from == "" || from == p.id || err != nil {
		return
	}
	var b beat
	if topic == topicBeat && json.Unmarshal(m.Data, &b) != nil {
		return
	}
	up, missed, old := p.note(from, number, topic, b)
	for _, id := range old {
		p.report(id, NodeDown)
	}
	switch {
	case up:
		p.report(from, NodeUp)
	case missed:
		p.report(from, NodeMissed)
	}
	p.mu.Lock()
	fn := p.hear[topic]
	p.mu.Unlock()
	if fn != nil {
		fn(from, m.Data)
	}
}

// note keeps what a message says of its sender.
func (p *Peers) note(from string, number uint64, topic string, b beat) (up, missed bool, old []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[from]
	if topic == topicBeat {
		for id, o := range p.nodes {
			if id == from && b.Bye || id != from && o.Node == b.Node {
				old = append(old, id) // it has stopped, or begun anew
				delete(p.nodes, id)
			}
		}
		if b.Bye {
			return false, false, old
		}
		if n == nil {
			n = &node{number: number}
			p.nodes[from], up = n, true
		}
		n.beat = b
	}
	if n == nil {
		return false, false, nil // its first beat comes soon
	}
	n.heard = time.Now()
	missed = number > n.number+1
	n.number = number
	return up, missed, old
}

// Tell sends body to all other nodes, to their Hear of topic. Those of one node
// arrive in their order; what is lost is told as NodeMissed.
func (p *Peers) Tell(topic string, body []byte) error {
	if p.nc == nil {
		return nil
	}
	p.tell.Lock()
	defer p.tell.Unlock()
	p.number++
	m := &nats.Msg{Subject: tellSubject + topic, Data: body, Header: nats.Header{
		headerNode: []string{p.id}, headerNumber: []string{strconv.FormatUint(p.number, 10)},
	}}
	return classify("telling the other nodes", p.nc.PublishMsg(m))
}

// Hear has fn called with what the others tell under topic, one after the
// other. fn must not block. A topic has one listener.
func (p *Peers) Hear(topic string, fn func(node string, body []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear[topic] = fn
}

// OnNode has fn called when another node comes or goes, by the goroutine of
// Hear or another one. fn must not block.
func (p *Peers) OnNode(fn func(node string, e NodeEvent)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = append(p.watch, fn)
}

// ids are the nodes that are there.
func (p *Peers) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]string, 0, len(p.nodes))
	for id := range p.nodes {
		all = append(all, id)
	}
	return all
}

// ID names this life of this node.
func (p *Peers) ID() string { return p.id }

// meshed are the names of the nodes that hear this one.
func (p *Peers) meshed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, n := range p.nodes {
		if slices.Contains(n.Hears, p.id) {
			names = append(names, n.Node)
		}
	}
	slices.Sort(names)
	return names
}

// deaf are the names of the nodes that are heard and do not hear this one yet.
func (p *Peers) deaf() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, n := range p.nodes {
		if !slices.Contains(n.Hears, p.id) {
			names = append(names, n.Node)
		}
	}
	return names
}

// seeds are the names of the others that hold a backup for the cluster.
func (p *Peers) seeds() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, n := range p.nodes {
		if n.Seed {
			names = append(names, n.Node)
		}
	}
	return names
}

// vouchers is how many other nodes have all that they ever acknowledged.
func (p *Peers) vouchers() (yes, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if n.Vouches {
			yes++
		}
	}
	return yes, len(p.nodes)
}

func (p *Peers) say(seed, vouches bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed, p.vouches = seed, vouches
}

// NodeInfo is one node as this one sees it.
type NodeInfo struct {
	Name  string    `json:"name"`
	ID    string    `json:"id"`
	Began time.Time `json:"began,omitzero"`
	Self  bool      `json:"self,omitempty"`
	Hears bool      `json:"hears_us"` // there is a way in both directions
}

func (p *Peers) nodesNow() []NodeInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []NodeInfo{{Name: p.name, ID: p.id, Self: true, Hears: true}}
	for _, n := range p.nodes {
		all = append(all, NodeInfo{Name: n.Node, ID: n.ID, Began: n.Began, Hears: slices.Contains(n.Hears, p.id)})
	}
	slices.SortFunc(all[1:], func(a, b NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Nodes are this node, and the others that it hears.
func (b *Bus) Nodes() []NodeInfo { return b.peers.nodesNow() }

// Size is how many nodes the cluster should have; 0 without one, or where that
// is not known.
func (b *Bus) Size() int {
	if b.cluster == nil {
		return 0
	}
	return b.cluster.size()
}

// Peers is the way to the other nodes.
func (b *Bus) Peers() *Peers { return b.peers }
