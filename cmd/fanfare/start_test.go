package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the test binary as the program, in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TEST_PROGRAM=1")
	return cmd
}

// oneLineOf wants one line on stderr that begins with fanfare: and has words.
func oneLineOf(t *testing.T, stderr string, words ...string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "{") { // the log
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "fanfare: ") {
		t.Fatalf("stderr is not one line: %q", stderr)
	}
	for _, w := range words {
		if !strings.Contains(lines[0], w) {
			t.Errorf("%q does not say %q", lines[0], w)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := shell{}.run(t, "--listen", l.Addr().String(), "--data", filepath.Join(t.TempDir(), "data"))
	if r.status != 1 {
		t.Errorf("status %d, want 1", r.status)
	}
	oneLineOf(t, r.stderr, l.Addr().String(), "taken", "--listen")
}

func TestTwoServersOnOneFolder(t *testing.T) {
	s := serve(t)
	r := shell{}.run(t, "serve", "--listen", "127.0.0.1:0", "--data", s.dir)
	if r.status != 1 {
		t.Errorf("status %d, want 1", r.status)
	}
	oneLineOf(t, r.stderr, s.dir, "another", "--data")
	s.ok(t, "health") // the first one is well
}

func TestFolderCannotBeMade(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), "")
	r := shell{}.run(t, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(file, "data"))
	if r.status != 1 {
		t.Errorf("status %d, want 1", r.status)
	}
	oneLineOf(t, r.stderr, file)
}

// TestStopsGracefully sends the program the signals of a supervisor.
func TestStopsGracefully(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, stderr := startProgram(t, "--drain-time", "10ms")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v, want exit status 0", sig, err)
		}
		if !strings.Contains(stderr.String(), `"msg":"stopped"`) {
			t.Errorf("%v: the log does not end with stopped: %s", sig, stderr)
		}
	}
}

// TestSecondSignalEndsAtOnce: a drain takes as long as its clients are given,
// but who presses Ctrl-C twice is not kept waiting.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	cmd, stderr := startProgram(t, "--drain-time", "10m")
	url := readEnvFile(filepath.Join(cmd.Dir, "fanfare-data", "demo.env")).values["FANFARE_URL"]
	key := readEnvFile(filepath.Join(cmd.Dir, "fanfare-data", "demo.env")).values["FANFARE_SECRET_KEY"]
	for range 2 { // the first is sent away at once, the second in five minutes
		stream := exec.CommandContext(t.Context(), "curl", "-sN", url+"/v1/sse?channel=a", "-H", "Authorization: Bearer "+key)
		var got locked
		stream.Stdout = &got
		if err := stream.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stream.Process.Kill(); stream.Wait() })
		until(t, func() bool { return strings.Contains(got.String(), "event: subscribed") }, "the stream to begin")
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return strings.Contains(stderr.String(), `"msg":"stopping"`) }, "the drain to begin")
	began := time.Now()
	var exit *exec.ExitError
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	// The signal's default is back a moment after the first one was taken.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if !errors.As(err, &exit) {
				t.Fatalf("%v, want an end by the signal", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the second signal took %v", took)
			}
			return
		case <-tick.C:
			cmd.Process.Signal(os.Interrupt)
		case <-time.After(time.Minute):
			t.Fatal("the program does not end")
		}
	}
}

// startProgram starts a server in a process of its own and waits for it.
func startProgram(t *testing.T, args ...string) (*exec.Cmd, *locked) {
	t.Helper()
	cmd := program(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	stderr := &locked{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
		}
	})
	until(t, func() bool { return strings.Contains(stderr.String(), `"msg":"ready"`) }, "the server to start")
	return cmd, stderr
}

// until polls cond for up to 20 s.
func until(t *testing.T, cond func() bool, what string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// BenchmarkStart measures the time from the program's start on an empty folder
// until it is ready.
func BenchmarkStart(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), self, "serve", "--listen", "127.0.0.1:0", "--drain-time", "1ms")
		cmd.Dir = b.TempDir()
		cmd.Env = append(os.Environ(), "TEST_PROGRAM=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		var text bytes.Buffer
		buf := make([]byte, 4096)
		for !bytes.Contains(text.Bytes(), []byte("is ready at")) {
			n, err := out.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			text.Write(buf[:n])
		}
		b.StopTimer()
		cmd.Process.Kill()
		cmd.Wait()
		b.StartTimer()
	}
}
