package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lab is where servers are started and measured.
type lab struct {
	root, work, reports string
	cpus                string
	quick               bool
	nginx               string // its version
	load                string // of the machine before, on average over a minute
}

// server is one kind of server: how it is started, and how `fanfare bench`
// speaks to it.
type server struct {
	name string
	wire string
	args []string // more of fanfare bench
	run  []string // of the server itself, behind what start knows
}

// Report is what `fanfare bench --json` writes, as far as it is needed here.
type Report struct {
	OK      bool
	Failed  []string
	Runs    []Run
	Summary map[string]float64
}

// Run is one measurement of a Report.
type Run struct {
	Name    string
	Figures map[string]float64
	Latency map[string]float64
}

// seeLoad keeps the machine's load, and warns where it is a busy one.
func (l *lab) seeLoad() {
	text, _ := os.ReadFile("/proc/loadavg") // unknown elsewhere
	l.load, _, _ = strings.Cut(string(text), " ")
	if n, err := strconv.ParseFloat(l.load, 64); err == nil && n > 0.5 {
		fmt.Fprintf(os.Stderr, "bench: warning: the machine is busy (load average %s): ratios of rates and latencies are worth little\n", l.load)
	}
}

// build makes the programs: Fanfare of this tree, and the peers that are Go.
func (l *lab) build(ctx context.Context) error {
	for _, b := range []struct {
		dir  string
		pkgs []string
	}{{l.root, []string{"./cmd/fanfare"}}, {filepath.Join(l.root, "bench"), []string{"./centrifuge", "./floor"}}} {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", l.work + "/"}, b.pkgs...)...)
		cmd.Dir = b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %v: %w\n%s", b.pkgs, err, out)
		}
	}
	return nil
}

const nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so"

// needNginx installs nginx with nchan where it may (Debian, root), and else
// says what is wanted.
func (l *lab) needNginx(ctx context.Context) error {
	if _, err := os.Stat(nchanModule); err != nil {
		if os.Geteuid() != 0 {
			return errors.New("nchan is measured, too: install the Debian packages nginx and libnginx-mod-nchan, or leave it out (--without nchan)")
		}
		fmt.Fprintln(os.Stderr, "bench: installing nginx and libnginx-mod-nchan")
		script := "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends nginx libnginx-mod-nchan && " +
			"{ service nginx stop || true; }" // the package starts one, which would be loaded beside ours
		if out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
			return fmt.Errorf("install nginx: %w\n%s", err, out)
		}
	}
	out, err := exec.CommandContext(ctx, "nginx", "-v").CombinedOutput()
	if err != nil {
		return fmt.Errorf("nginx: %w", err)
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "nginx/")
	nchan, _ := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan").Output()
	l.nginx = "nginx " + version + ", nchan " + string(nchan)
	return nil
}

// file is where a report is kept.
func (l *lab) file(test, server string, round int) string {
	return filepath.Join(l.reports, fmt.Sprintf("%s-%s-%d.json", test, strings.ReplaceAll(server, ", ", "-"), round+1))
}

// pinned is a command on the lab's cores.
func (l *lab) pinned(ctx context.Context, args ...string) *exec.Cmd {
	if l.cpus != "" {
		args = append([]string{"taskset", "-c", l.cpus}, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

// running is a server that takes connections.
type running struct {
	cmd    *exec.Cmd
	url    string
	data   string // of Fanfare
	output *bytes.Buffer
	done   chan error
}

// start starts a server on a free port, in a folder of its own.
func (l *lab) start(ctx context.Context, s server) (*running, error) {
	dir, err := os.MkdirTemp(l.work, "run-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + port
	args := []string{filepath.Join(l.work, s.wire), "--listen", address}
	switch s.wire {
	case "fanfare":
		args = []string{filepath.Join(l.work, "fanfare"), "serve", "--listen", address, "--data", dir, "--drain-time", "1ms", "--log-level", "warn"}
	case "plain":
		args[0] = filepath.Join(l.work, "floor")
	case "nchan":
		if args, err = l.nginxConfig(dir, address); err != nil {
			return nil, err
		}
	}
	r := &running{url: "http://" + address, data: dir, output: &bytes.Buffer{}, done: make(chan error, 1)}
	r.cmd = l.pinned(ctx, append(args, s.run...)...)
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGTERM) }
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	for range 1000 {
		select {
		case err := <-r.done:
			return nil, fmt.Errorf("%s ended: %w\n%s", s.name, err, r.output)
		case <-time.After(10 * time.Millisecond):
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		c.Close()
		if s.wire != "fanfare" {
			return r, nil
		}
		if _, err := os.Stat(filepath.Join(dir, "demo.env")); err == nil {
			return r, nil
		}
	}
	r.stop()
	return nil, fmt.Errorf("%s does not come up\n%s", s.name, r.output)
}

func (r *running) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.done
	}
	_ = os.RemoveAll(r.data)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// nginxConfig writes nginx.conf for a run. nginx gets one worker for each
// core, as Go programs take one thread for each.
func (l *lab) nginxConfig(dir, address string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(l.root, "bench", "nginx.conf"))
	if err != nil {
		return nil, err
	}
	workers := 1 + strings.Count(l.cpus, ",")
	filled := strings.NewReplacer("@MODULE@", nchanModule, "@DIR@", dir, "@LISTEN@", address, "@WORKERS@", strconv.Itoa(workers), "@BUFFER@", "0").Replace(string(text))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(filled), 0o644); err != nil {
		return nil, err
	}
	return []string{"nginx", "-c", file, "-e", filepath.Join(dir, "error.log")}, nil
}

// measure starts a server, loads it with a benchmark, and stops it.
func (l *lab) measure(ctx context.Context, s server, args []string) (*Report, []byte, error) {
	r, err := l.start(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	defer r.stop()
	all := []string{filepath.Join(l.work, "fanfare"), "bench"}
	all = append(append(all, args...), "--wire", s.wire, "--url", r.url, "--pid", strconv.Itoa(r.cmd.Process.Pid), "--data", r.data, "--json")
	cmd := l.pinned(ctx, append(all, s.args...)...)
	cmd.Dir = r.data // where no fanfare.yaml is
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var report Report
	if json.Unmarshal(out.Bytes(), &report) != nil {
		return nil, nil, fmt.Errorf("fanfare bench %s at %s: %w\n%s", strings.Join(args, " "), s.name, err, errs.String())
	}
	return &report, out.Bytes(), nil // a run that failed says so itself
}
