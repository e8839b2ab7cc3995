package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets this test binary be the program, for the tests that need a
// process of their own: signals, a full disk.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_PROGRAM_TMPFS"); dir != "" {
		fillDisk(dir)
	}
	if os.Getenv("TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is what a run of the program left behind.
type result struct {
	status      int
	out, stderr string
}

// shell is where commands are run: a folder, an environment, an input.
type shell struct {
	env   []string
	stdin io.Reader
}

// run runs the program in this process.
func (s shell) run(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, stderr bytes.Buffer
	in := s.stdin
	if in == nil {
		in = strings.NewReader("")
	}
	status := run(ctx, args, in, &out, &stderr, s.env)
	return result{status, out.String(), stderr.String()}
}

// ok runs the program and wants it to succeed.
func (s shell) ok(t *testing.T, args ...string) string {
	t.Helper()
	r := s.run(t, args...)
	if r.status != 0 {
		t.Fatalf("fanfare %s: status %d\n%s%s", strings.Join(args, " "), r.status, r.out, r.stderr)
	}
	return r.out
}

// fails runs the program and wants it to end with a status, and to say words
// on stderr.
func (s shell) fails(t *testing.T, status int, words string, args ...string) string {
	t.Helper()
	r := s.run(t, args...)
	if r.status != status || !strings.Contains(r.stderr, words) {
		t.Fatalf("fanfare %s: status %d, want %d; stderr %q, want %q in it", strings.Join(args, " "), r.status, status, r.stderr, words)
	}
	return r.stderr
}

// served is a server that runs in this process.
type served struct {
	shell
	dir, url string
	welcome  string
	stop     func() (status int, stderr string)
}

// serve starts the server on a free port and returns when it is ready.
func serve(t *testing.T, args ...string) *served {
	t.Helper()
	return serveIn(t, filepath.Join(t.TempDir(), "data"), args...)
}

func serveIn(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	outR, outW := io.Pipe()
	var stderr locked
	done := make(chan int, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", dir, "--drain-time", "10ms"}, args...)
		status := run(ctx, args, strings.NewReader(""), outW, &stderr, nil)
		outW.Close()
		done <- status
	})
	s := &served{dir: dir}
	s.stop = sync.OnceValues(func() (int, string) {
		cancel()
		status := <-done
		wg.Wait()
		return status, stderr.String()
	})
	t.Cleanup(func() { s.stop() })
	var text strings.Builder
	lines := bufio.NewScanner(outR)
	for lines.Scan() { // to the end of the welcome, or of the program
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), `/v1/messages" -H`) {
			break
		}
	}
	wg.Go(func() { io.Copy(io.Discard, outR) })
	s.welcome = text.String()
	s.url = readEnvFile(filepath.Join(dir, "demo.env")).values["FANFARE_URL"]
	if s.url == "" {
		status, said := s.stop()
		t.Fatalf("the server did not start: status %d\n%s%s", status, s.welcome, said)
	}
	s.env = []string{"FANFARE_DATA=" + dir}
	return s
}

// locked is a buffer that a running server writes to and a test reads.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fake is a server that answers all requests in one way, and keeps the last.
type fake struct {
	url    string
	mu     sync.Mutex
	header http.Header
	asked  int
}

func newFake(t *testing.T, status int, contentType, body string) *fake {
	f := &fake{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.header, f.asked = r.Header.Clone(), f.asked+1
		f.mu.Unlock()
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) last() (http.Header, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.header, f.asked
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
