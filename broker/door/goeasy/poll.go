package goeasy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/session"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	pollQueue   = 64 << 10         // bytes that wait for the client to ask for them
	pollTimeout = 40 * time.Second // within which a client takes something
	pollHold    = 20 * time.Second // how long a request is held where there is nothing
	pollBegin   = 16 << 10         // bytes of one packet before anybody is authorised
)

var errGone = errors.New("goeasy: the client is gone")

// poll is a client that asks for what there is, again and again, as a session
// sees it; and after an upgrade its WebSocket. All methods may be called
// concurrently, Read by one goroutine at a time. It lives from its first
// request to Close.
type poll struct {
	door *Door
	id   string

	in     chan []byte   // packets of the client
	closed chan struct{} // by Close
	over   chan struct{} // closed when inner is there

	mu      sync.Mutex
	out     [][]byte      // packets that wait
	size    int           // their bytes
	news    chan struct{} // closed when there is something in out; nil: nobody waits
	room    chan struct{} // closed when out was taken; nil: nobody waits
	asking  bool          // a request waits
	sending bool          // a request brings packets
	probing bool          // a WebSocket has said that it is there
	ended   bool
	limit   int            // bytes of a packet
	coming  session.Socket // that the client is about to go over to
	inner   session.Socket // that it has gone over to
}

func (d *Door) newPoll(id string) *poll {
	return &poll{
		door: d, id: id, in: make(chan []byte), closed: make(chan struct{}), over: make(chan struct{}), limit: pollBegin,
	}
}

// Traits are those of all clients of this door.
func (p *poll) Traits() session.Traits { return tongue().Traits }

// Read returns the next packet.
func (p *poll) Read(limit int) ([]byte, error) {
	p.mu.Lock()
	p.limit = limit
	p.mu.Unlock()
	select {
	case b := <-p.in:
		return p.sized(b, limit)
	case <-p.closed:
		return nil, errGone
	case <-p.over:
	}
	select { // what came before the upgrade goes first
	case b := <-p.in:
		return p.sized(b, limit)
	default:
		return p.inner.Read(limit)
	}
}

func (p *poll) sized(b []byte, limit int) ([]byte, error) {
	if len(b) > limit {
		return nil, protocol.Errorf(protocol.CodeFrameTooLarge, "The packet has %d bytes; %d is the most.", len(b), limit)
	}
	return b, nil
}

// Try sends nothing before the upgrade: a request has to come for it.
func (p *poll) Try(f *hub.Frame) session.Tried {
	p.mu.Lock()
	inner := p.inner
	p.mu.Unlock()
	if inner == nil {
		return session.Refused
	}
	return inner.Try(f)
}

// Park does without a goroutine after the upgrade.
func (p *poll) Park(wake func()) bool {
	p.mu.Lock()
	inner := p.inner
	p.mu.Unlock()
	parker, ok := inner.(session.Parker)
	return ok && parker.Park(wake)
}

// Write keeps frames for the client's next requests, and waits while it takes
// nothing of what is there.
func (p *poll) Write(frames []*hub.Frame) error {
	for len(frames) > 0 {
		inner, wait, err := p.queue(frames[0])
		switch {
		case err != nil:
			return err
		case inner != nil:
			return inner.Write(frames)
		}
		frames = frames[1:]
		if wait == nil {
			continue
		}
		late := time.NewTimer(pollTimeout)
		select {
		case <-wait:
			late.Stop()
		case <-late.C:
			return errGone
		case <-p.closed:
			late.Stop()
			return errGone
		}
	}
	return nil
}

// queue keeps one frame. wait, if any, is closed when there is room for more.
func (p *poll) queue(f *hub.Frame) (inner session.Socket, wait chan struct{}, err error) {
	texts := said(nil, f)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.inner != nil:
		return p.inner, nil, nil
	case p.ended:
		return nil, nil, errGone
	}
	for _, text := range texts {
		p.out = append(p.out, text)
		p.size += len(text)
	}
	if len(texts) > 0 {
		p.tellLocked()
	}
	if p.size <= pollQueue {
		return nil, nil, nil
	}
	if p.room == nil {
		p.room = make(chan struct{})
	}
	return nil, p.room, nil
}

// said is a frame as packets.
func said(all [][]byte, f *hub.Frame) [][]byte {
	if f.Parts != nil {
		for _, one := range f.Parts {
			all = said(all, one)
		}
		return all
	}
	if f.Type == session.TypeSpoken {
		return append(all, f.Line)
	}
	say(f, func(text []byte) { all = append(all, text) })
	return all
}

func (p *poll) tellLocked() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// Close ends the connection. No code of ours means anything to these clients.
func (p *poll) Close(why *protocol.Error) {
	p.mu.Lock()
	inner, coming, first := p.inner, p.coming, !p.ended
	if first {
		p.ended = true
		close(p.closed)
		p.tellLocked()
	}
	p.mu.Unlock()
	if inner != nil {
		inner.Close(why)
	} else if coming != nil {
		coming.Close(nil)
	}
	if first {
		p.door.forget(p.id)
	}
}

// ask begins a request for packets; false: there is one already, or the client
// has gone over to a WebSocket, or is gone.
func (p *poll) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking || p.inner != nil || p.ended && len(p.out) == 0 {
		return false
	}
	p.asking = true
	return true
}

// wait returns the packets that there are, at the latest after a while.
func (p *poll) wait(ctx context.Context) [][]byte {
	late := time.NewTimer(pollHold)
	defer late.Stop()
	for {
		p.mu.Lock()
		if len(p.out) > 0 || p.ended || p.probing {
			break
		}
		if p.news == nil {
			p.news = make(chan struct{})
		}
		news := p.news
		p.mu.Unlock()
		select {
		case <-news:
			continue
		case <-late.C:
		case <-ctx.Done():
		}
		p.mu.Lock()
		break
	}
	defer p.mu.Unlock()
	p.asking = false
	out := p.out
	switch {
	case ctx.Err() != nil: // nobody hears it
		return nil
	case len(out) == 0 && p.ended:
		return [][]byte{{packetClose}}
	case len(out) == 0:
		return [][]byte{{packetNoop}}
	}
	p.takeLocked()
	return out
}

func (p *poll) takeLocked() {
	p.out, p.size = nil, 0
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// bring hands the session what the client has sent.
func (p *poll) bring(ctx context.Context, all [][]byte) error {
	p.mu.Lock()
	busy := p.sending
	p.sending = true
	p.mu.Unlock()
	if busy {
		return errPacket
	}
	defer func() {
		p.mu.Lock()
		p.sending = false
		p.mu.Unlock()
	}()
	for _, packet := range all {
		select {
		case p.in <- packet:
		case <-p.closed:
			return errGone
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// upgrade goes over to a WebSocket, whose client says that it is there, hears
// it answered, lets its last request for packets end and then wants to.
func (p *poll) upgrade(ws session.Socket) error {
	late := time.AfterFunc(pollTimeout, func() { ws.Close(nil) })
	defer late.Stop()
	p.mu.Lock()
	p.coming = ws // Close ends it, too
	isOver := p.ended
	p.mu.Unlock()
	if isOver {
		return errGone
	}
	probe, err := ws.Read(pollBegin)
	if err != nil || string(probe) != string(packetPing)+"probe" {
		return errPacket
	}
	answer := []byte(string(packetPong) + "probe")
	if err := ws.Write([]*hub.Frame{{Type: session.TypeSpoken, Line: answer}}); err != nil {
		return err
	}
	p.mu.Lock()
	p.probing = true
	p.tellLocked()
	p.mu.Unlock()
	now, err := ws.Read(pollBegin)
	if err != nil || len(now) != 1 || now[0] != packetUpgrade {
		p.mu.Lock()
		p.probing = false
		p.mu.Unlock()
		return errPacket
	}
	return p.goOver(ws)
}

// goOver sends what waits and lets the session have the WebSocket.
func (p *poll) goOver(ws session.Socket) error {
	for {
		p.mu.Lock()
		out := p.out
		switch {
		case p.ended || p.inner != nil:
			p.mu.Unlock()
			return errGone
		case len(out) == 0:
			p.inner = ws
			close(p.over)
			p.takeLocked()
			p.mu.Unlock()
			return nil
		}
		p.takeLocked()
		p.mu.Unlock()
		for _, text := range out {
			if err := ws.Write([]*hub.Frame{{Type: session.TypeSpoken, Line: text}}); err != nil {
				return err
			}
		}
	}
}
