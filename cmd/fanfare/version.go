package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{ output }

// Help is part of kong.HelpProvider.
func (versionCmd) Help() string { return examples("fanfare version", "fanfare version --json") }

// versionInfo is what this binary was made of.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // built with changes that are not committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the Go linker wrote into this binary. A `go run` has
// no version: then it is "dev".
func buildVersion() versionInfo {
	v := versionInfo{Version: "dev", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// Run shows the version.
func (c *versionCmd) Run(con *console) error {
	v := buildVersion()
	if c.JSON {
		return writeJSON(con.Out, v)
	}
	if _, err := fmt.Fprintf(con.Out, "fanfare %s\n", v.Version); err != nil {
		return err
	}
	commit := v.Commit
	if v.Modified {
		commit += " (with changes)"
	}
	return con.writeFields("commit", commit, "of", v.Time, "go", v.Go, "platform", v.Platform)
}
