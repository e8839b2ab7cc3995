package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// configFile is a read fanfare.yaml: one setting a line, checked, immutable.
// The nil configFile has no entries.
type configFile struct {
	path    string
	entries map[string]entry
}

// entry is one line of a configuration file.
type entry struct {
	value string
	line  int // from 1
}

// errConfig is what is wrong in a configuration file, with its line.
type errConfig struct {
	line          int
	message, hint string
}

func (e *errConfig) Error() string { return e.message }

func (c *configFile) entry(name string) (entry, bool) {
	if c == nil {
		return entry{}, false
	}
	e, ok := c.entries[name]
	return e, ok
}

func (c *configFile) where(e entry) string { return fmt.Sprintf("%s:%d", c.path, e.line) }

// readConfigFile reads and checks the file at path, which may have the keys of
// known. The error is that of os.ReadFile, or an *errConfig.
func readConfigFile(path string, known []string) (*configFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	entries, err := parseConfig(text, known)
	if err != nil {
		return nil, err
	}
	return &configFile{path: path, entries: entries}, nil
}

// parseConfig reads a YAML document of plain `name: value` lines. Anything
// else is an *errConfig: what is silently ignored today is an outage tomorrow.
func parseConfig(text []byte, known []string) (map[string]entry, error) {
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		if se, ok := errors.AsType[*yaml.SyntaxError](err); ok && se.Token != nil {
			return nil, &errConfig{line: se.Token.Position.Line, message: se.Message}
		}
		if de, ok := errors.AsType[*yaml.DuplicateKeyError](err); ok && de.Token != nil {
			return nil, &errConfig{line: de.Token.Position.Line, message: de.Message}
		}
		return nil, &errConfig{line: 1, message: strings.Join(strings.Fields(err.Error()), " ")}
	}
	entries := map[string]entry{}
	for i, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		m, ok := d.Body.(*ast.MappingNode)
		if !ok || i > 0 {
			return nil, &errConfig{line: line(d.Body), message: "this is not a list of settings", hint: "Write one setting a line: listen: 127.0.0.1:8080"}
		}
		for _, v := range m.Values {
			name, e, err := readSetting(v, known)
			if err != nil {
				return nil, err
			}
			if _, twice := entries[name]; twice {
				return nil, &errConfig{line: e.line, message: name + " is set twice"}
			}
			entries[name] = e
		}
	}
	return entries, nil
}

// readSetting reads one `name: value`.
func readSetting(v *ast.MappingValueNode, known []string) (string, entry, error) {
	at := line(v.Key)
	name := v.Key.GetToken().Value
	isKnown := false
	for _, k := range known {
		isKnown = isKnown || k == name
	}
	if !isKnown {
		e := &errConfig{line: at, message: fmt.Sprintf("there is no setting %q", name), hint: "fanfare config lists all settings."}
		if near := nearest(name, known); near != "" {
			e.message += fmt.Sprintf("; did you mean %q?", near)
		}
		return "", entry{}, e
	}
	switch n := v.Value.(type) {
	case *ast.StringNode:
		return name, entry{n.Value, at}, nil
	case *ast.LiteralNode:
		return name, entry{strings.TrimSpace(n.Value.Value), at}, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return name, entry{n.GetToken().Value, at}, nil
	}
	return "", entry{}, &errConfig{line: at, message: name + " needs a plain value (a word, a number, true or false)"}
}

// line is where a node begins, from 1; YAML calls for a token on each node,
// but an empty document may have none.
func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// configFailure says what is wrong with the configuration file, and where.
func configFailure(path string, err error) error {
	f := &failure{Usage: true, Err: err}
	e, ok := errors.AsType[*errConfig](err)
	switch {
	case ok:
		f.Message = fmt.Sprintf("%s:%d: %s", path, e.line, e.message)
		f.Remedy = e.hint
		if f.Remedy == "" {
			f.Remedy = "Mend this line; a setting is written `listen: 127.0.0.1:8080`."
		}
	case os.IsNotExist(err):
		f.Message, f.Remedy = "there is no configuration file "+path, "Correct --config or FANFARE_CONFIG."
	default:
		f.Message, f.Remedy = fmt.Sprintf("cannot read the configuration file: %v", err), "Make it readable for this user."
	}
	return f
}
