package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is part of kong.HelpProvider.
func (completionCmd) Help() string {
	return examples("source <(fanfare completion bash)", "fanfare completion bash > /etc/bash_completion.d/fanfare",
		`fanfare completion zsh > "${fpath[1]}/_fanfare"`, "fanfare completion fish > ~/.config/fish/completions/fanfare.fish")
}

// Run writes the script.
func (c *completionCmd) Run(con *console, kctx *kong.Context) error {
	out := bufio.NewWriter(con.Out)
	all := placesOf(kctx.Model.Node, nil)
	switch c.Shell {
	case "bash":
		writeBash(out, all)
	case "zsh":
		writeZsh(out, all)
	case "fish":
		writeFish(out, all)
	}
	return out.Flush()
}

// place is a command with what may follow it.
type place struct {
	path  []string // "key", "create"; empty for fanfare itself
	subs  []choice
	flags []choice
}

// choice is a word that may follow, with its help.
type choice struct {
	word, help string
	short      string   // a flag's letter
	values     []string // a flag's values, where they are known
	takes      string   // "": a switch; "file", "dir", "value": what a flag takes
}

// placesOf lists n and all commands below it.
func placesOf(n *kong.Node, path []string) []place {
	p := place{path: path}
	if path == nil && n.DefaultCmd != nil { // its flags may follow fanfare itself
		for _, f := range n.DefaultCmd.Flags {
			p.flags = append(p.flags, flagChoice(f))
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			p.flags = append(p.flags, flagChoice(f))
		}
	}
	slices.SortFunc(p.flags, func(a, b choice) int { return strings.Compare(a.word, b.word) })
	var below []place
	for _, child := range n.Children {
		p.subs = append(p.subs, choice{word: child.Name, help: child.Help})
		below = append(below, placesOf(child, append(slices.Clone(path), child.Name))...)
	}
	for _, arg := range n.Positional {
		if arg.Enum != "" {
			for _, v := range arg.EnumSlice() {
				p.subs = append(p.subs, choice{word: v})
			}
		}
	}
	return append([]place{p}, below...)
}

func flagChoice(f *kong.Flag) choice {
	c := choice{word: "--" + f.Name, help: f.Help}
	if f.Short != 0 {
		c.short = string(f.Short)
	}
	if !f.IsBool() {
		c.takes = "value"
		if kind := f.Tag.Get("complete"); kind != "" {
			c.takes = kind
		}
	}
	if f.Enum != "" {
		c.values = f.EnumSlice()
	}
	return c
}

// forms are the ways to write a flag.
func (c choice) forms() []string {
	if c.short == "" {
		return []string{c.word}
	}
	return []string{c.word, "-" + c.short}
}

func wordsOf(list []choice) string {
	var out []string
	for _, c := range list {
		out = append(out, c.word)
	}
	return strings.Join(out, " ")
}

// quoted is s between single quotes, for the three shells.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// merged are the flags of all places, each once.
func merged(all []place) []choice {
	seen := map[string]bool{}
	var out []choice
	for _, p := range all {
		for _, f := range p.flags {
			if !seen[f.word] {
				seen[f.word] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// writeBash writes a function that finds the command among the words so far,
// and offers what may follow it.
func writeBash(w io.Writer, all []place) {
	var taking []string
	for _, f := range merged(all) {
		if f.takes != "" {
			taking = append(taking, f.forms()...)
		}
	}
	fmt.Fprintf(w, "# bash completion for fanfare\n_fanfare() {\n  local cur prev at path word i skip\n  COMPREPLY=()\n  cur=${COMP_WORDS[COMP_CWORD]}\n  prev=${COMP_WORDS[COMP_CWORD-1]}\n")
	fmt.Fprintf(w, "  case $prev in\n")
	for _, f := range merged(all) {
		pattern := strings.Join(f.forms(), "|")
		switch {
		case f.values != nil:
			fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", pattern, quoted(strings.Join(f.values, " ")))
		case f.takes == "file":
			fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", pattern)
		case f.takes == "dir":
			fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", pattern)
		case f.takes != "":
			fmt.Fprintf(w, "    %s) return ;;\n", pattern)
		}
	}
	fmt.Fprintf(w, "  esac\n  path=''\n  skip=''\n  for ((i = 1; i < COMP_CWORD; i++)); do\n    word=${COMP_WORDS[i]}\n")
	fmt.Fprintf(w, "    if [[ -n $skip ]]; then skip=''; continue; fi\n    case $word in\n      %s) skip=1; continue ;;\n      -*) continue ;;\n    esac\n", strings.Join(taking, "|"))
	fmt.Fprintf(w, "    case \"${path:+$path }$word\" in\n")
	for _, p := range all {
		if len(p.path) > 0 {
			fmt.Fprintf(w, "      %s) path=%s ;;\n", quoted(strings.Join(p.path, " ")), quoted(strings.Join(p.path, " ")))
		}
	}
	fmt.Fprintf(w, "    esac\n  done\n  case $path in\n")
	for _, p := range all {
		fmt.Fprintf(w, "    %s) at=%s ;;\n", quoted(strings.Join(p.path, " ")), quoted(strings.TrimSpace(wordsOf(p.subs)+" "+wordsOf(p.flags))))
	}
	fmt.Fprintf(w, "  esac\n  COMPREPLY=($(compgen -W \"$at\" -- \"$cur\"))\n}\ncomplete -F _fanfare fanfare\n")
}

// writeZsh writes the same for zsh, with each word's help beside it.
func writeZsh(w io.Writer, all []place) {
	describe := func(list []choice) string {
		var out []string
		for _, c := range list {
			out = append(out, quoted(strings.ReplaceAll(c.word, ":", `\:`)+":"+strings.ReplaceAll(c.help, ":", `\:`)))
		}
		return strings.Join(out, " ")
	}
	fmt.Fprintf(w, "#compdef fanfare\n# zsh completion for fanfare\n_fanfare() {\n  local path_='' word\n  local -a found\n  case $words[CURRENT-1] in\n")
	for _, f := range merged(all) {
		pattern := strings.Join(f.forms(), "|")
		switch {
		case f.values != nil:
			fmt.Fprintf(w, "    %s) compadd -- %s; return ;;\n", pattern, strings.Join(f.values, " "))
		case f.takes == "file":
			fmt.Fprintf(w, "    %s) _files; return ;;\n", pattern)
		case f.takes == "dir":
			fmt.Fprintf(w, "    %s) _files -/; return ;;\n", pattern)
		case f.takes != "":
			fmt.Fprintf(w, "    %s) return ;;\n", pattern)
		}
	}
	fmt.Fprintf(w, "  esac\n  for word in ${words[2,CURRENT-1]}; do\n    case \"${path_:+$path_ }$word\" in\n")
	for _, p := range all {
		if len(p.path) > 0 {
			fmt.Fprintf(w, "      %s) path_=%s ;;\n", quoted(strings.Join(p.path, " ")), quoted(strings.Join(p.path, " ")))
		}
	}
	fmt.Fprintf(w, "    esac\n  done\n  case $path_ in\n")
	for _, p := range all {
		fmt.Fprintf(w, "    %s) found=(%s) ;;\n", quoted(strings.Join(p.path, " ")), describe(slices.Concat(p.subs, p.flags)))
	}
	fmt.Fprintf(w, "  esac\n  _describe fanfare found\n}\nif [[ $funcstack[1] == _fanfare ]]; then _fanfare \"$@\"; else compdef _fanfare fanfare; fi\n")
}

// writeFish writes one `complete` for each word, under the condition of its
// place.
func writeFish(w io.Writer, all []place) {
	fmt.Fprintf(w, "# fish completion for fanfare\ncomplete -c fanfare -f\n")
	for _, p := range all {
		condition := "__fish_use_subcommand"
		if len(p.path) > 0 {
			parts := make([]string, len(p.path))
			for i, word := range p.path {
				parts[i] = "__fish_seen_subcommand_from " + word
			}
			condition = strings.Join(parts, "; and ")
			if len(p.subs) > 0 {
				condition += "; and not __fish_seen_subcommand_from " + wordsOf(p.subs)
			}
		}
		for _, c := range p.subs {
			fmt.Fprintf(w, "complete -c fanfare -n %s -a %s -d %s\n", quotedFish(condition), c.word, quotedFish(c.help))
		}
		for _, c := range p.flags {
			line := fmt.Sprintf("complete -c fanfare -n %s -l %s", quotedFish(condition), strings.TrimPrefix(c.word, "--"))
			if c.short != "" {
				line += " -s " + c.short
			}
			switch {
			case c.values != nil:
				line += " -x -a " + quotedFish(strings.Join(c.values, " "))
			case c.takes == "file" || c.takes == "dir":
				line += " -r -F"
			case c.takes != "":
				line += " -x"
			}
			fmt.Fprintf(w, "%s -d %s\n", line, quotedFish(c.help))
		}
	}
}

// quotedFish is s between single quotes; fish, unlike the others, knows two
// escapes there.
func quotedFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
