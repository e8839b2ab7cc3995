package stats

import (
	"sync/atomic"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Meter counts what one app or account uses on this node, from the process's
// start on. It is safe for concurrent use, waits for nothing, and lives as long
// as the process: an app that was deleted keeps it, so that nothing counted
// is lost.
type Meter struct {
	Messages  atomic.Int64 // published
	Bytes     atomic.Int64 // of their data
	Delivered atomic.Int64 // handed to connections
	Refused   atomic.Int64 // requests and commands

	Connections atomic.Int64 // open now on this node
	Elsewhere   atomic.Int64 // open on the others, as of a second ago

	// Of an account: what makes the month's of what is counted above, and how
	// many messages its apps keep, as of the last look.
	MonthMessages atomic.Int64
	MonthBytes    atomic.Int64
	Stored        atomic.Int64

	quota    quota
	refusals refusals
	peak     atomic.Int64
	up       atomic.Pointer[Meter]
}

// Join has all that m counts count for up, too: an app's for its account.
func (m *Meter) Join(up *Meter) {
	if m.up.Swap(up) == nil && up != nil {
		up.Elsewhere.Add(m.Elsewhere.Load())
	}
}

// Publish counts messages with that many bytes of data in all.
func (m *Meter) Publish(messages, bytes int64) {
	for ; m != nil; m = m.up.Load() {
		m.Messages.Add(messages)
		m.Bytes.Add(bytes)
	}
}

// Deliver counts messages that were handed to connections.
func (m *Meter) Deliver(n int64) {
	for ; m != nil; m = m.up.Load() {
		m.Delivered.Add(n)
	}
}

// Connect counts a connection that opened, unless there are most already, here
// and elsewhere. Disconnect counts its end. all is how many there were.
func (m *Meter) Connect(most int64) (all int64, ok bool) {
	for {
		n := m.Connections.Load()
		if all = n + m.Elsewhere.Load(); all >= most {
			return all, false
		}
		if m.Connections.CompareAndSwap(n, n+1) {
			break
		}
	}
	m.rise(all + 1)
	if up := m.up.Load(); up != nil {
		up.rise(up.Connections.Add(1) + up.Elsewhere.Load())
	}
	return all, true
}

// Disconnect counts the end of a connection that Connect counted.
func (m *Meter) Disconnect() {
	for ; m != nil; m = m.up.Load() {
		m.Connections.Add(-1)
	}
}

// Others says how many connections the other nodes have.
func (m *Meter) Others(n int64) {
	was := m.Elsewhere.Swap(n)
	if up := m.up.Load(); up != nil {
		up.Elsewhere.Add(n - was)
	}
}

// rise takes note that there were n connections at a time.
func (m *Meter) rise(n int64) {
	for {
		p := m.peak.Load()
		if n <= p || m.peak.CompareAndSwap(p, n) {
			return
		}
	}
}

// Peak is the most connections at a time since it was last asked.
func (m *Meter) Peak() int64 {
	now := m.Connections.Load() + m.Elsewhere.Load()
	return max(m.peak.Swap(now), now)
}

// App is the meter of an app. It makes the ones that are not there yet.
func (s *Stats) App(id protocol.AppID) *Meter { return meterOf(&s.apps, id) }

// Account is the meter of an account.
func (s *Stats) Account(id protocol.AccountID) *Meter { return meterOf(&s.accounts, id) }

func meterOf[K comparable](all *meters[K], id K) *Meter {
	if m, ok := all.Load(id); ok {
		return m.(*Meter)
	}
	m, _ := all.LoadOrStore(id, &Meter{})
	return m.(*Meter)
}

// EachApp yields the meters of all apps that ever had one.
func (s *Stats) EachApp(yield func(protocol.AppID, *Meter) bool) { each(&s.apps, yield) }

// EachAccount yields the meters of all accounts that ever had one.
func (s *Stats) EachAccount(yield func(protocol.AccountID, *Meter) bool) { each(&s.accounts, yield) }

func each[K comparable](all *meters[K], yield func(K, *Meter) bool) {
	all.Range(func(id, m any) bool { return yield(id.(K), m.(*Meter)) })
}
