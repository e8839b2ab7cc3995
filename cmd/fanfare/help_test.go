package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func parserFor(t *testing.T) *kong.Kong {
	t.Helper()
	var out bytes.Buffer
	p, err := newParser(t.Context(), &console{In: strings.NewReader(""), Out: &out, Err: &out, Settings: newSettings(nil)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func leaves(t *testing.T) []*kong.Node {
	list := parserFor(t).Model.Leaves(true)
	if len(list) < 15 {
		t.Fatalf("only %d commands", len(list))
	}
	return list
}

// TestHelpTeaches: every command has help with an example, every flag has
// help, and settings name their variable.
func TestHelpTeaches(t *testing.T) {
	top := shell{}.ok(t, "--help")
	for _, n := range leaves(t) {
		if !strings.Contains(top, "  "+n.Path()) {
			t.Errorf("fanfare --help does not name %s", n.Path())
		}
		help := shell{}.ok(t, append(strings.Fields(n.Path()), "--help")...)
		if !strings.Contains(help, "Examples:\n\n    ") {
			t.Errorf("%s has no example", n.Path())
		}
		for _, f := range n.Flags {
			if !strings.Contains(help, "--"+f.Name) || f.Help == "" {
				t.Errorf("%s --%s is not explained", n.Path(), f.Name)
			}
			if name := settingOf(f.Value); name != "" && !strings.Contains(strings.Join(strings.Fields(help), " "), "($"+envName(name)+")") {
				t.Errorf("%s --%s does not name $%s", n.Path(), f.Name, envName(name))
			}
		}
	}
}

// TestExamplesParse: what the help and the guides show is a command line that
// this binary takes.
func TestExamplesParse(t *testing.T) {
	lines := map[string]string{}
	for _, n := range append(leaves(t), parserFor(t).Model.Node) {
		help := overview
		if n.Parent != nil {
			help = n.Detail
		}
		for line := range strings.Lines(help) {
			if strings.HasPrefix(line, " ") {
				lines[strings.TrimSpace(line)] = "the help of " + n.Path()
			}
		}
	}
	guides, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	for _, guide := range append(guides, "../../README.md") {
		text, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		in := false
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasPrefix(line, "```"):
				in = !in && slices.Contains([]string{"sh", "bash", "console", ""}, strings.TrimSpace(line[3:]))
			case in:
				lines[strings.TrimSpace(line)] = guide
			}
		}
	}
	parsed := 0
	for line, where := range lines {
		for _, args := range invocations(line) {
			parsed++
			if status := runParse(t, args); status != 0 {
				t.Errorf("%s: %q does not parse (%v)", where, line, args)
			}
		}
	}
	if parsed < 60 {
		t.Errorf("only %d examples were found", parsed)
	}
}

// runParse is 0 where args parse, without doing what they say.
func runParse(t *testing.T, args []string) int {
	ctx, err := parserFor(t).Parse(args)
	if err != nil {
		return report(io.Discard, err)
	}
	if ctx.Command() == "" {
		return 1
	}
	return 0
}

// invocations are the arguments of each `fanfare …` in a line of shell.
func invocations(line string) (all [][]string) {
	var words []string
	for _, part := range strings.FieldsFunc(line, func(r rune) bool {
		return r == '|' || r == '(' || r == ')' || r == ';' || r == '>' || r == '<' || r == '&'
	}) {
		words = shellWords(part)
		for len(words) > 0 && strings.Contains(words[0], "=") { // assignments
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "fanfare" {
			all = append(all, words[1:])
		}
	}
	return all
}

// shellWords splits a line at spaces outside quotes; two spaces or a comment
// end it, as the overview and comments have it.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, has := rune(0), false
	runes := []rune(strings.TrimSpace(line))
	for i, r := range runes {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, has = r, true
		case r == ' ':
			if has || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			has = false
			if i+1 < len(runes) && (runes[i+1] == ' ' || runes[i+1] == '#') {
				return words
			}
		default:
			word.WriteRune(r)
		}
	}
	if has || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

func TestWrongCommandLines(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		want string
		args []string
	}{
		{`there is no command "sevre"; did you mean "serve"?`, []string{"sevre"}},
		{"unknown flag --listn", []string{"--listn"}},
		{`expected one of "list"`, []string{"app"}},
		{`expected "<channel> <data>"`, []string{"pub"}},
		{"See fanfare pub --help.", []string{"pub"}},
		{"--id is for one message", []string{"pub", "a", "-", "--id", "x", "--key", "k"}},
		{"which app?", []string{"key", "list", "--account-token", "x"}},
	} {
		shell{}.fails(t, 2, c.want, c.args...)
	}
	shell{}.fails(t, 1, "[channel_invalid]", "pub", "", "1", "--key", "k")
}

func TestVersion(t *testing.T) {
	var v versionInfo
	fromJSON(t, shell{}.ok(t, "version", "--json"), &v)
	if v.Version == "" || v.Go == "" || v.Platform == "" {
		t.Errorf("the version is %+v", v)
	}
	if out := (shell{}).ok(t, "version"); !strings.HasPrefix(out, "fanfare "+v.Version+"\n") {
		t.Errorf("version says %q", out)
	}
}
