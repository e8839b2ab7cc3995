package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompletionSyntax has each shell that is here read its script; bash has
// to be here.
func TestCompletionSyntax(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "fish"} {
		script := shell{}.ok(t, "completion", name)
		path, err := exec.LookPath(name)
		if err != nil {
			if name == "bash" {
				t.Fatal("install bash: its completion is tested with it")
			}
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s -n: %v %s", name, err, out)
		}
	}
	shell{}.fails(t, 2, `must be one of "bash","zsh","fish"`, "completion", "tcsh")
}

// TestBashCompletes asks a real bash what it offers.
func TestBashCompletes(t *testing.T) {
	script := write(t, filepath.Join(t.TempDir(), "fanfare.bash"), shell{}.ok(t, "completion", "bash"))
	for _, c := range []struct {
		words     string // the last one is being written
		want, not []string
	}{
		{"fanfare ''", []string{"serve", "app", "key", "doctor", "--listen", "--help"}, []string{"create", "bash"}},
		{"fanfare k", []string{"key"}, []string{"serve"}},
		{"fanfare key ''", []string{"list", "create", "rotate", "revoke"}, []string{"serve", "update"}},
		{"fanfare key cr", []string{"create"}, []string{"list"}},
		{"fanfare key create --", []string{"--subscribe", "--kind", "--url", "--data"}, []string{"--listen"}},
		{"fanfare key create --kind ''", []string{"publishable", "secret"}, []string{"--url"}},
		{"fanfare --data x key ''", []string{"create"}, []string{"serve"}},
		{"fanfare --data key ''", []string{"serve"}, []string{"create"}},
		{"fanfare serve --log-level ''", []string{"debug", "error"}, []string{"json"}},
		{"fanfare completion ''", []string{"bash", "zsh", "fish"}, nil},
		{"fanfare pub chat ''", []string{"--event"}, []string{"serve"}},
		{"fanfare key create --name ''", nil, []string{"--url", "create"}},
	} {
		program := "source " + script + "\nCOMP_WORDS=(" + c.words + ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_fanfare\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
		out, err := exec.Command("bash", "--norc", "-c", program).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v %s", c.words, err, out)
		}
		got := strings.Fields(string(out))
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: offers %v, not %s", c.words, got, w)
			}
		}
		for _, w := range c.not {
			if slices.Contains(got, w) {
				t.Errorf("%s: offers %s", c.words, w)
			}
		}
	}
}

// TestCompletionKnowsAll: no command and no flag is missing in any shell.
func TestCompletionKnowsAll(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "fish"} {
		script := shell{}.ok(t, "completion", name)
		for _, n := range leaves(t) {
			for _, word := range strings.Fields(n.Path()) {
				if !strings.Contains(script, word) {
					t.Errorf("%s: no %s", name, word)
				}
			}
			for _, f := range n.Flags {
				flag := "--" + f.Name
				if name == "fish" {
					flag = " -l " + f.Name
				}
				if !strings.Contains(script, flag) {
					t.Errorf("%s: no %s", name, flag)
				}
			}
		}
	}
}
