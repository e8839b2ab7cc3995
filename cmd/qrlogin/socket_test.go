package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket is a raw connection to the program's Fanfare. It keeps every byte
// that came.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
	done chan struct{} // closed when the connection ended
	at   time.Time     // when, once done

	mu     sync.Mutex
	heard  strings.Builder
	frames []map[string]any
	news   chan struct{}
	refs   int
}

// dial connects and says hello with the token.
func dial(t *testing.T, base, token string) *socket {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	conn, _, err := websocket.Dial(ctx, strings.Replace(base, "http", "ws", 1)+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{t: t, conn: conn, done: make(chan struct{}), news: make(chan struct{}, 1)}
	go func() {
		defer close(s.done)
		for {
			_, text, err := conn.Read(context.Background())
			if err != nil {
				s.at = time.Now()
				return
			}
			s.mu.Lock()
			s.heard.Write(text)
			for line := range strings.Lines(string(text)) {
				var f map[string]any
				if json.Unmarshal([]byte(line), &f) == nil {
					s.frames = append(s.frames, f)
				}
			}
			s.mu.Unlock()
			select {
			case s.news <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() { _ = conn.CloseNow(); <-s.done })
	s.say(fmt.Sprintf(`{"type":"hello","token":%q}`, token))
	return s
}

func (s *socket) say(frame string) {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer stop()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(frame+"\n")); err != nil {
		s.t.Logf("write: %v", err) // the server has ended the connection
	}
}

// ask sends a command and returns the answer's type, or its error's code.
func (s *socket) ask(command string) string {
	s.t.Helper()
	s.refs++
	s.say(strings.Replace(command, "{", fmt.Sprintf(`{"ref":%d,`, s.refs), 1))
	f := s.find(func(f map[string]any) bool { return f["ref"] == float64(s.refs) || f["type"] == "close" })
	if code, ok := f["code"].(string); ok {
		return code
	}
	kind, _ := f["type"].(string)
	return kind
}

// find waits for a frame.
func (s *socket) find(is func(map[string]any) bool) map[string]any {
	s.t.Helper()
	over := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		for _, f := range s.frames {
			if is(f) {
				s.mu.Unlock()
				return f
			}
		}
		s.mu.Unlock()
		select {
		case <-s.news:
		case <-s.done:
			return map[string]any{"code": "closed"}
		case <-over:
			s.t.Fatalf("no such frame; there came %s", s.all())
		}
	}
}

func (s *socket) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.String()
}
