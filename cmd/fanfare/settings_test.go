package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source runs `fanfare config` and returns value and source of one setting.
func source(t *testing.T, s shell, name string, args ...string) string {
	t.Helper()
	var list []settingInfo
	fromJSON(t, s.ok(t, append([]string{"config", "--json"}, args...)...), &list)
	i := slices.IndexFunc(list, func(i settingInfo) bool { return i.Name == name })
	if i < 0 {
		t.Fatalf("there is no setting %s in %v", name, list)
	}
	return list[i].Value + " from " + list[i].Source
}

// TestPrecedence: flag, environment, file, the data folder's files, default;
// each is taken away in turn.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "fanfare.yaml", "# settings\nlog_level: warn\nurl: http://127.0.0.1:2\n")
	write(t, "fanfare-data/demo.env", "FANFARE_URL=http://127.0.0.1:3\n")
	env := shell{env: []string{"FANFARE_LOG_LEVEL=error", "FANFARE_URL=http://127.0.0.1:1"}}
	none := shell{}
	for _, c := range []struct {
		s          shell
		name, want string
		args       []string
	}{
		{env, "log_level", "debug from --log-level", []string{"--log-level=debug"}},
		{env, "log_level", "error from FANFARE_LOG_LEVEL", nil},
		{none, "log_level", "warn from fanfare.yaml:2", nil},
		{none, "log_level", "info from default", []string{"--config", write(t, "empty.yaml", "")}},
		{none, "drain_time", "5s from default", nil},
		{env, "url", "http://127.0.0.1:9 from --url", []string{"--url=http://127.0.0.1:9"}},
		{env, "url", "http://127.0.0.1:1 from FANFARE_URL", nil},
		{none, "url", "http://127.0.0.1:2 from fanfare.yaml:3", nil},
		{none, "url", "http://127.0.0.1:3 from fanfare-data/demo.env", []string{"--config", "empty.yaml"}},
		{none, "url", "http://127.0.0.1:8080 from default", []string{"--config", "empty.yaml", "--data", "elsewhere"}},
		{shell{env: []string{"FANFARE_LOG_LEVEL="}}, "log_level", "warn from fanfare.yaml:2", nil}, // empty is none
		{shell{env: []string{"FANFARE_CONFIG=empty.yaml"}}, "log_level", "info from default", nil},
		{none, "data", "other from more.yaml:1", []string{"--config", write(t, "more.yaml", "data: other\nmetrics_open: true\n")}},
		{none, "metrics_open", "true from more.yaml:2", []string{"--config", "more.yaml"}},
		{none, "app", " from not set", nil},
	} {
		if got := source(t, c.s, c.name, c.args...); got != c.want {
			t.Errorf("%s with %v %v: %s, want %s", c.name, c.s.env, c.args, got, c.want)
		}
	}
}

func TestWrongConfiguration(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct{ yaml, want string }{
		{"listen: :1\nlisen: :2\n", `fanfare.yaml:2: there is no setting "lisen"; did you mean "listen"?`},
		{"log-level: debug\n", `fanfare.yaml:1: there is no setting "log-level"; did you mean "log_level"?`},
		{"colour: red\n", `fanfare.yaml:1: there is no setting "colour"` + "\n"},
		{"\n\nlisten: [a]\n", "fanfare.yaml:3: listen needs a plain value"},
		{"listen: a\nlisten: b\n", "fanfare.yaml:2: "},
		{"listen: \"a\n", "fanfare.yaml:1: "},
		{"- listen\n", "fanfare.yaml:1: this is not a list of settings"},
		{"log_level: loud\n", `--log-level must be one of "debug","info","warn","error" but got "loud" (from fanfare.yaml:1)`},
		{"drain_time: 3\n", "missing unit in duration"},
		{"secret_key_file: nowhere\n", "fanfare.yaml:1: open nowhere"},
		{"secret_key_file: fanfare.yaml.empty\n", "is empty"},
	} {
		write(t, "fanfare.yaml", c.yaml)
		write(t, "fanfare.yaml.empty", "\n")
		shell{}.fails(t, 2, c.want, "config")
	}
	// What needs no configuration works with a broken one, and help always.
	write(t, "fanfare.yaml", ": :")
	for _, args := range [][]string{{"version"}, {"completion", "bash"}, {"--help"}, {"config", "--help"}} {
		shell{}.ok(t, args...)
	}
	shell{}.fails(t, 2, "there is no configuration file nowhere.yaml", "config", "--config", "nowhere.yaml")
	shell{env: []string{"FANFARE_LOG_LEVEL=loud"}}.fails(t, 2, "(from FANFARE_LOG_LEVEL)", "config", "--config", write(t, "empty.yaml", ""))
}

func TestUnknownVariablesWarn(t *testing.T) {
	t.Chdir(t.TempDir())
	s := shell{env: []string{"FANFARE_LISTN=:1", "FANFARE_SECRET_KEY=a", "FANFARE_ACCOUNT_TOKEN=b", "FANFARE_PUBLISHABLE_KEY=c", "FANFARE_APP=d", "FANFARE_DATA=e"}}
	r := s.run(t, "config")
	want := "fanfare: warning: the variable FANFARE_LISTN is not one that fanfare knows; did you mean FANFARE_LISTEN?\n"
	if r.status != 0 || r.stderr != want {
		t.Errorf("status %d, stderr %q, want %q", r.status, r.stderr, want)
	}
}

func TestSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	key := "ffs_" + strings.Repeat("k", 48)
	path := write(t, filepath.Join(t.TempDir(), "key"), key+"\n")
	for _, s := range []shell{
		{env: []string{"FANFARE_SECRET_KEY_FILE=" + path}},
		{env: []string{"FANFARE_SECRET_KEY=" + key}},
		{env: []string{"FANFARE_CONFIG=" + write(t, "a.yaml", "secret_key_file: "+path+"\n")}},
		{env: []string{"FANFARE_CONFIG=" + write(t, "b.yaml", "secret_key: "+key+"\n")}},
	} {
		if out := s.ok(t, "config"); strings.Contains(out, key) || !strings.Contains(out, "ffs_kkkkkkkkkk…") {
			t.Errorf("%v: config shows\n%s", s.env, out)
		}
		f := newFake(t, 200, "application/json", `{"id":"1","position":""}`)
		s.ok(t, "pub", "a", "1", "--url", f.url)
		if h, _ := f.last(); h.Get("Authorization") != "Bearer "+key {
			t.Errorf("%v: the server got %q", s.env, h.Get("Authorization"))
		}
	}
}

// TestKeysStayWithTheirServer: the data folder's keys are for its server, and
// are sent to no other.
func TestKeysStayWithTheirServer(t *testing.T) {
	f := newFake(t, 200, "application/json", `{"id":"1","position":"","apps":[]}`)
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "fanfare-data/demo.env", "FANFARE_URL=http://127.0.0.1:3\nFANFARE_SECRET_KEY=ffs_x\n")
	write(t, "fanfare-data/admin.env", "FANFARE_URL=http://127.0.0.1:3\nFANFARE_ACCOUNT_TOKEN=ffa_x\n")
	for _, args := range [][]string{{"pub", "a", "1", "--url", f.url}, {"app", "list", "--url", f.url}} {
		shell{}.fails(t, 2, "(for another server: http://127.0.0.1:3)", args...)
		shell{env: []string{"FANFARE_URL=" + f.url}}.fails(t, 2, "for another server", args[:len(args)-2]...)
	}
	if _, asked := f.last(); asked != 0 {
		t.Errorf("%d requests went out", asked)
	}
	write(t, "fanfare-data/demo.env", "export FANFARE_URL='"+f.url+"'\n# a comment\nFANFARE_SECRET_KEY=\"ffs_x\"\n")
	shell{}.ok(t, "pub", "a", "1", "--url", f.url+"/")
	if h, _ := f.last(); h.Get("Authorization") != "Bearer ffs_x" {
		t.Errorf("the server got %q", h.Get("Authorization"))
	}
}

// TestNoKeySaysWhereItLooked: all places, so that the person sees the typo.
func TestNoKeySaysWhereItLooked(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "fanfare.yaml", "listen: :1\n")
	said := shell{}.fails(t, 2, "this needs an account token", "app", "list")
	for _, place := range []string{"--account-token", "FANFARE_ACCOUNT_TOKEN", "FANFARE_ACCOUNT_TOKEN_FILE", "fanfare.yaml", "admin.env (not there)", "remedy: "} {
		if !strings.Contains(said, place) {
			t.Errorf("%q does not name %s", said, place)
		}
	}
	shell{}.fails(t, 2, "this needs a key", "sub", "a")
}

func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{"listen: a\n", "a:\n  b: c\n", "- x", "listen: |\n  a\n", "? a\n: b", "---\n---\n", "listen: &a b\nurl: *a", "\t", "{listen: a}", "listen: !!int 3", "<<: {a: b}"} {
		f.Add([]byte(seed))
	}
	known := []string{"listen", "url"}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parseConfig(text, known)
		if err != nil {
			if e, ok := err.(*errConfig); !ok || e.line < 1 || e.message == "" {
				t.Errorf("%q: the error %#v names no line", text, err)
			}
			return
		}
		for name, e := range entries {
			if !slices.Contains(known, name) || e.line < 1 {
				t.Errorf("%q: took %q at line %d", text, name, e.line)
			}
		}
	})
}
