package bench

import (
	"os"
	"time"
)

// meter reads what the server and bench itself have used between two times of
// the loop's clock.
type meter struct {
	pids           []int
	from, to       time.Duration
	began, ended   bool
	before, after  usage // of the server
	ownBefore, own usage // of this process
}

// tick reads where it is time to, and returns when it is next.
func (m *meter) tick(now time.Duration) time.Duration {
	if !m.began && now >= m.from {
		m.began = true
		m.before, m.ownBefore = m.read()
	}
	if !m.ended && now >= m.to {
		m.ended = true
		m.after, m.own = m.read()
	}
	switch {
	case !m.began:
		return m.from
	case !m.ended:
		return m.to
	}
	return never
}

// read leaves out what is not there: a server that died is told by its
// connections.
func (m *meter) read() (server, own usage) {
	server, _ = readUsage(m.pids)
	own, _ = readUsage([]int{os.Getpid()})
	return server, own
}

// addTo adds to f what was used for n things of a kind.
func (m *meter) addTo(f *Figures, n uint64, name, label string) {
	over := m.to - m.from
	if len(m.pids) > 0 && m.ended {
		f.addUsage(m.before, m.after, over, n, name, label)
	}
	f.add("bench_cpu_percent", round(100*(m.own.cpu-m.ownBefore.cpu).Seconds()/over.Seconds()), "bench's own CPU of one core", "%")
}
