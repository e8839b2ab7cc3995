package tenant

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Peers is the way to the other nodes of a cluster. A *bus.Peers is one.
type Peers interface {
	Tell(topic string, body []byte) error
	Hear(topic string, fn func(node string, body []byte))
	OnNode(fn func(node string, e bus.NodeEvent))
}

const (
	topicUse  = "use"
	shareStep = time.Second
)

// use is what an app uses on one node.
type use struct {
	Connections int64 `json:"c,omitempty"`
	Published   int64 `json:"p,omitempty"` // in the last second
}

// sharing makes limits those of the whole cluster: each node tells the others
// once a second what each app uses on it. So a limit is exact to what comes
// within that second. The publish rate of a node is what the others leave of
// it, and at least its equal part.
//
// It may be used concurrently. Its goroutine lives from start to stop.
type sharing struct {
	view *view
	quit chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	nodes map[string]map[protocol.AppID]use
}

// Share counts limits together with the other nodes from now on. It is called
// once, at the start, where there are any.
func (t *Tenants) Share(p Peers) {
	s := &sharing{view: t.view, quit: make(chan struct{}), nodes: map[string]map[protocol.AppID]use{}}
	t.sharing = s
	p.Hear(topicUse, func(node string, body []byte) {
		var all map[protocol.AppID]use
		if err := json.Unmarshal(body, &all); err != nil {
			t.log.Error("what another node tells of apps cannot be read", "error", err)
			return
		}
		s.take(node, all)
	})
	p.OnNode(func(node string, e bus.NodeEvent) {
		if e == bus.NodeDown {
			s.take(node, nil)
		} else {
			s.know(node)
		}
	})
	s.done.Go(func() {
		tick := time.NewTicker(shareStep)
		defer tick.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-tick.C:
			}
			body, err := json.Marshal(s.own())
			if err == nil {
				err = p.Tell(topicUse, body)
			}
			if err != nil {
				t.log.Debug("the other nodes cannot be told what apps use", "error", err)
			}
		}
	})
}

func (s *sharing) stop() {
	close(s.quit)
	s.done.Wait()
}

// know counts a node before it has told anything.
func (s *sharing) know(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[node] == nil {
		s.nodes[node] = map[protocol.AppID]use{}
	}
}

// take replaces what a node uses; nil: it is gone.
func (s *sharing) take(node string, all map[protocol.AppID]use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := map[protocol.AppID]bool{}
	for id := range s.nodes[node] {
		touched[id] = true
	}
	for id := range all {
		touched[id] = true
	}
	if all == nil {
		delete(s.nodes, node)
	} else {
		s.nodes[node] = all
	}
	for id := range touched {
		var sum use
		for _, n := range s.nodes {
			sum.Connections += n[id].Connections
			sum.Published += n[id].Published
		}
		if app := s.view.findApp(id); app != nil {
			app.meter.Others(sum.Connections)
			app.publishedElsewhere.Store(sum.Published)
			app.parts.Store(int64(len(s.nodes) + 1))
		}
	}
}

// own is what each app uses here, and begins a new second.
func (s *sharing) own() map[protocol.AppID]use {
	s.view.mu.RLock()
	defer s.view.mu.RUnlock()
	all := map[protocol.AppID]use{}
	for id, app := range s.view.apps {
		if u := (use{app.meter.Connections.Load(), app.published.Swap(0)}); u != (use{}) {
			all[id] = u
		}
	}
	return all
}

// publishRate is what is left here of a rate of the cluster: what the others
// did not use of it a second ago, and at least an equal part.
func (a *appState) publishRate(rate int) int {
	parts := a.parts.Load()
	if parts < 2 {
		return rate
	}
	return max(int(int64(rate)/parts), rate-int(a.publishedElsewhere.Load()), 1)
}
