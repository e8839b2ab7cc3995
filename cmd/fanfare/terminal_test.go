package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestShellQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := strings.ReplaceAll(rapid.String().Draw(t, "path"), "\x00", "")
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(path)).Output()
		if err != nil || string(out) != path {
			t.Fatalf("%q came out as %q (%v)", path, out, err)
		}
	})
}

func TestEscapeControl(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := escapeControl(rapid.String().Draw(t, "text"))
		if strings.ContainsFunc(text, steers) {
			t.Fatalf("%q still steers", text)
		}
	})
	if got := escapeControl("a\x1b]0;x\x07b\u202e"); got != `a\u001b]0;x\u0007b\u202e` {
		t.Errorf("got %q", got)
	}
}

func TestColorAndTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || isTerminal(&strings.Builder{}) || isTerminal(nil) {
		t.Error("a terminal is seen where there is none")
	}
	plain, colored := &console{}, &console{Color: true}
	if plain.paint(red, "x") != "x" || colored.paint(red, "x") != "\x1b[31mx\x1b[0m" || colored.paint(red, "") != "" {
		t.Error("paint paints wrongly")
	}
}
