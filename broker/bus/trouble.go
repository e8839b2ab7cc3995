package bus

import (
	"strings"
	"sync"
	"time"
)

// trouble is why nodes refuse each other, as the message server's log says it
// and nothing else does. It may be used concurrently; the zero value is ready.
type trouble struct {
	mu   sync.Mutex
	what string
	at   time.Time
}

// troubleLasts is how long it counts: the server tries again each second.
const troubleLasts = 5 * time.Second

// look takes note of a line of the log.
func (t *trouble) look(line string) {
	what := ""
	switch {
	case strings.Contains(line, "Route Error") && strings.Contains(line, "Authorization Violation"),
		strings.Contains(line, "Router connection closed: Authentication Failure"), strings.Contains(line, "authentication error"):
		what = "another node has another cluster secret: set the same one on all"
	case strings.Contains(line, "TLS route handshake error"):
		switch {
		case strings.Contains(line, "certificate"):
			what = "another node has another cluster secret: set the same one on all"
		case strings.Contains(line, "first record does not look like"):
			what = "what answers at another node's address is no node, or one of a version that does not encrypt: stop all, and start all with the same version"
		default:
			return
		}
	case strings.Contains(line, "Cluster Name Conflict"), strings.Contains(line, "cluster name") && strings.Contains(line, "does not match"):
		what = "another node has another cluster name: set the same one on all"
	case strings.Contains(line, "Duplicate Server Name"), strings.Contains(line, "duplicate server name"), strings.Contains(line, "has a duplicate name"):
		what = "another node has this node's name: give each a name of its own"
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.what, t.at = what, time.Now()
}

// recent is what was wrong just now, "" if nothing.
func (t *trouble) recent() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) > troubleLasts {
		return ""
	}
	return t.what
}
