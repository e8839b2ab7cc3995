package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settings finds the value of each setting: environment, configuration file,
// the data folder's env files, in this order; flags are kong's own and win,
// defaults are kong's own and lose. It is filled by load, then only read, by
// one goroutine.
type settings struct {
	env      map[string]string // the whole environment
	file     *configFile       // nil where there is none
	data     string            // the data folder
	folder   []envFile         // its admin.env and demo.env
	known    []*kong.Flag      // one flag of each setting, in the model's order
	resolved map[string]string // flag name → where its value was found
}

// found is a setting's value and where it came from, in words.
type found struct{ value, from string }

func newSettings(environ []string) *settings {
	s := &settings{env: map[string]string{}, resolved: map[string]string{}}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			s.env[k] = v
		}
	}
	return s
}

// settingOf is the name of the setting behind a flag: the configuration file's
// key, and in capitals after FANFARE_ the variable. "" for a plain flag.
func settingOf(v *kong.Value) string { return v.Tag.Get("setting") }

func envName(setting string) string { return "FANFARE_" + strings.ToUpper(setting) }

// isSecret reports settings that are not shown, and that may stand in a file
// of their own (<name>_file, FANFARE_<NAME>_FILE).
func isSecret(setting string) bool {
	return strings.HasSuffix(setting, "_key") || strings.HasSuffix(setting, "_token") || strings.HasSuffix(setting, "_secret") || setting == "nats_url"
}

// learn takes the settings from the flags that carry one.
func (s *settings) learn(model *kong.Application) {
	seen := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			if name := settingOf(f.Value); name != "" && !seen[name] {
				seen[name] = true
				s.known = append(s.known, f)
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(model.Node)
}

// names are all the keys that a configuration file may have.
func (s *settings) names() []string {
	var out []string
	for _, f := range s.known {
		name := settingOf(f.Value)
		out = append(out, name)
		if isSecret(name) {
			out = append(out, name+"_file")
		}
	}
	return out
}

// load reads the configuration file and the data folder's env files. The
// arguments are what flags said; "" where they said nothing.
func (s *settings) load(configFlag, dataFlag string) error {
	path, must := configFlag, true
	if path == "" {
		path = s.env["FANFARE_CONFIG"]
	}
	if path == "" {
		path, must = "fanfare.yaml", false
	}
	file, err := readConfigFile(path, s.names())
	if err != nil && (must || !os.IsNotExist(err)) {
		return configFailure(path, err)
	}
	s.file = file
	s.data = dataFlag
	if s.data == "" {
		f, _, err := s.find("data")
		if err != nil {
			return err
		}
		s.data = f.value
	}
	if s.data == "" {
		s.data = "./fanfare-data"
	}
	s.folder = []envFile{
		readEnvFile(filepath.Join(s.data, "admin.env")),
		readEnvFile(filepath.Join(s.data, "demo.env")),
	}
	return nil
}

// find returns a setting's value from the environment or the configuration
// file. An empty variable counts as none.
func (s *settings) find(name string) (found, bool, error) {
	if v := s.env[envName(name)]; v != "" {
		return found{v, envName(name)}, true, nil
	}
	if path := s.env[envName(name)+"_FILE"]; path != "" && isSecret(name) {
		return readSecret(path, envName(name)+"_FILE")
	}
	if e, ok := s.file.entry(name); ok {
		return found{e.value, s.file.where(e)}, true, nil
	}
	if e, ok := s.file.entry(name + "_file"); ok && isSecret(name) {
		return readSecret(e.value, s.file.where(e))
	}
	return found{}, false, nil
}

// findInFolder returns a setting's value from the data folder's env files.
// Their keys belong to their server: where the URL comes from elsewhere and is
// another one, they are not used, so that no key is sent to a stranger.
func (s *settings) findInFolder(name, url string) (found, bool) {
	for _, f := range s.folder {
		v := f.values[envName(name)]
		if v == "" || (url != "" && !sameURL(url, f.values["FANFARE_URL"])) {
			continue
		}
		return found{v, f.path}, true
	}
	return found{}, false
}

// Validate is part of kong.Resolver; the file was checked when it was read.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve is kong asking for the value of a flag that was not given.
func (s *settings) Resolve(kctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name := settingOf(flag.Value)
	if name == "" {
		return nil, nil
	}
	f, ok, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if !ok && name != "listen" && name != "data" {
		f, ok = s.findInFolder(name, s.url(kctx))
	}
	if !ok {
		return nil, nil
	}
	s.resolved[flag.Name] = f.from
	return f.value, nil
}

// url is the server's URL as a flag, the environment or the file gives it;
// "" where none of them does.
func (s *settings) url(kctx *kong.Context) string {
	for _, p := range kctx.Path {
		if p.Flag != nil && settingOf(p.Flag.Value) == "url" && !p.Resolved {
			return fmt.Sprint(kctx.FlagValue(p.Flag))
		}
	}
	f, _, _ := s.find("url")
	return f.value
}

// looked says where a secret was looked for, for the error that has none.
func (s *settings) looked(flag, setting string) string {
	places := []string{"--" + flag, envName(setting), envName(setting) + "_FILE"}
	if s.file != nil {
		places = append(places, s.file.path)
	}
	for _, f := range s.folder {
		switch {
		case f.err != nil && os.IsNotExist(f.err):
			places = append(places, f.path+" (not there)")
		case f.err != nil:
			places = append(places, f.path+" (not readable)")
		case f.values[envName(setting)] != "":
			places = append(places, f.path+" (for another server: "+f.values["FANFARE_URL"]+")")
		default:
			places = append(places, f.path)
		}
	}
	return strings.Join(places, ", ")
}

// unknownEnv are warnings about FANFARE_* variables that nothing reads.
func (s *settings) unknownEnv() []string {
	known := []string{"FANFARE_CONFIG", phoneEnv, otherEnv}
	for _, n := range s.names() {
		known = append(known, envName(n))
	}
	var out []string
	for k := range s.env {
		if !strings.HasPrefix(k, "FANFARE_") || strings.HasPrefix(k, "FANFARE_QRLOGIN_") || slices.Contains(known, k) {
			continue
		}
		w := "the variable " + k + " is not one that fanfare knows"
		if near := nearest(k, known); near != "" {
			w += "; did you mean " + near + "?"
		}
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

// nearest is the known name that is most like name, or "" where none is near.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
