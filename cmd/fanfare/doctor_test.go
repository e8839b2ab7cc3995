package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// diagnosis is what `fanfare doctor --json` writes.
type diagnosis struct {
	OK     bool
	Checks []finding
}

func (d diagnosis) of(t *testing.T, check string) finding {
	t.Helper()
	i := slices.IndexFunc(d.Checks, func(f finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("there is no check %q in %+v", check, d)
	}
	return d.Checks[i]
}

// diagnose runs doctor and wants its exit status to agree with its words.
func diagnose(t *testing.T, s shell, args ...string) diagnosis {
	t.Helper()
	r := s.run(t, append([]string{"doctor", "--json"}, args...)...)
	var d diagnosis
	fromJSON(t, r.out, &d)
	if d.OK != (r.status == 0) {
		t.Errorf("ok is %v and the exit status %d", d.OK, r.status)
	}
	for _, f := range d.Checks {
		if (f.Status == statusFail || f.Status == statusWarn) && f.Remedy == "" {
			t.Errorf("%s has no remedy: %+v", f.Check, f)
		}
	}
	return d
}

func TestDoctorOnAServer(t *testing.T) {
	s := serve(t)
	d := diagnose(t, s.shell)
	for _, f := range d.Checks {
		if f.Status != statusOK && f.Check != "disk" { // a test's machine may be short of it
			t.Errorf("%+v", f)
		}
	}
	if m := d.of(t, "message"); !strings.HasPrefix(m.Detail, "published and received in ") {
		t.Errorf("%+v", m)
	}
	if r := s.run(t, "doctor", "--quiet"); r.status != 0 || r.out+r.stderr != "" {
		t.Errorf("--quiet: %+v", r)
	}
	out := s.ok(t, "doctor")
	if strings.Count(out, "✓ ") < 9 || strings.Contains(out, "✗") || !strings.Contains(out, "may cost those of the last second") {
		t.Errorf("doctor says\n%s", out)
	}
	if d := diagnose(t, s.shell, "--key", "ffs_"+strings.Repeat("0", 48)); d.of(t, "message").Status != statusFail {
		t.Errorf("a wrong key: %+v", d.of(t, "message"))
	}
	s.stop()
	d = diagnose(t, s.shell)
	if d.of(t, "server").Status != statusFail || !strings.Contains(d.of(t, "lock").Detail, "free") {
		t.Errorf("after the stop: %+v", d)
	}
	if r := s.run(t, "doctor", "--quiet"); r.status != 1 || r.out+r.stderr != "" {
		t.Errorf("--quiet: %+v", r)
	}
}

// TestDoctorTellsTheDurability: what serve --sync says is what doctor reads.
func TestDoctorTellsTheDurability(t *testing.T) {
	s := serve(t, "--sync", "always")
	if f := diagnose(t, s.shell).of(t, "durability"); f.Status != statusOK || !strings.HasPrefix(f.Detail, "always: ") {
		t.Errorf("%+v", f)
	}
	shell{}.fails(t, 2, "interval", "serve", "--sync", "never")
}

func TestDoctorOnAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := shell{env: []string{"FANFARE_DATA=" + dir, "FANFARE_URL=http://127.0.0.1:1"}}
	if d := diagnose(t, s); d.of(t, "data folder").Status != statusSkip {
		t.Errorf("no folder: %+v", d.of(t, "data folder"))
	}
	write(t, filepath.Join(dir, "demo.env"), "")
	if err := os.Chmod(filepath.Join(dir, "demo.env"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := diagnose(t, s)
	if f := d.of(t, "data folder"); f.Status != statusFail || f.Remedy != "chmod 700 "+dir {
		t.Errorf("an open folder: %+v", f)
	}
	if f := d.of(t, "secrets"); f.Status != statusFail || !strings.Contains(f.Remedy, "chmod 600 "+filepath.Join(dir, "demo.env")) {
		t.Errorf("an open secret: %+v", f)
	}
	file := write(t, filepath.Join(t.TempDir(), "file"), "")
	if d := diagnose(t, shell{env: []string{"FANFARE_DATA=" + file}}); d.of(t, "data folder").Status != statusFail {
		t.Errorf("a file: %+v", d.of(t, "data folder"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if f := diagnose(t, s, "--listen", l.Addr().String()).of(t, "address"); f.Status != statusFail || !strings.Contains(f.Detail, "taken") {
		t.Errorf("a taken port: %+v", f)
	}
}

// TestDoctorOnAStrangeServer: another version, another time, not ready.
func TestDoctorOnAStrangeServer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		if r.URL.Path == "/version" {
			w.Write([]byte(`{"version":"0.0.1"}`))
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(`{"code":"unavailable","detail":"Not now.","remedy":"Wait."}`))
	}))
	t.Cleanup(s.Close)
	d := diagnose(t, shell{env: []string{"FANFARE_DATA=" + t.TempDir()}}, "--url", s.URL)
	for check, want := range map[string]string{"server": statusOK, "version": statusWarn, "clock": statusFail, "ready": statusFail, "message": statusSkip, "durability": statusSkip} {
		if f := d.of(t, check); f.Status != want {
			t.Errorf("%s is %+v, want %s", check, f, want)
		}
	}
	shell{}.fails(t, 1, "Not now.", "health", "--url", s.URL)
}

// claims: 9.8
func TestHealth(t *testing.T) {
	s := serve(t)
	if r := s.run(t, "health"); r.status != 0 || r.out+r.stderr != "" {
		t.Errorf("health: %+v", r)
	}
	// A container's own address comes before the public one of the folder.
	listen := strings.TrimPrefix(s.url, "http://127.0.0.1")
	shell{env: []string{"FANFARE_LISTEN=0.0.0.0" + listen, "FANFARE_DATA=" + t.TempDir()}}.ok(t, "health")
	s.stop()
	s.fails(t, 1, "nothing listens at "+s.url, "health")
}
