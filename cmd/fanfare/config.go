package main

import (
	"fmt"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// configCmd shows the settings. It takes all flags that set one, so that it
// can say what a command line would mean.
type configCmd struct {
	serving
	URL            string `name:"url" setting:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server that commands talk to."`
	App            string `setting:"app" placeholder:"APP" help:"The app that key commands are about."`
	AccountToken   string `setting:"account_token" placeholder:"ffa_…" help:"The account's token."`
	SecretKey      string `setting:"secret_key" placeholder:"ffs_…" help:"The app's secret key."`
	PublishableKey string `setting:"publishable_key" placeholder:"ffp_…" help:"The app's publishable key."`
	output
}

// Help is part of kong.HelpProvider.
func (configCmd) Help() string {
	return examples("fanfare config", "FANFARE_LISTEN=:9000 fanfare config --log-level debug") + `

A configuration file is YAML, one setting a line, under the names that this shows:

    listen: 0.0.0.0:8080
    public_url: https://push.example.com
    account_token_file: /run/secrets/fanfare-account

Secrets may stand in files of their own: FANFARE_SECRET_KEY_FILE, FANFARE_ACCOUNT_TOKEN_FILE, or secret_key_file and account_token_file here.`
}

// settingInfo is one line of `fanfare config`.
type settingInfo struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Run shows each setting with where it comes from.
func (c *configCmd) Run(con *console, kctx *kong.Context) error {
	given := map[string]bool{}
	for _, p := range kctx.Path {
		if p.Flag != nil && !p.Resolved {
			given[p.Flag.Name] = true
		}
	}
	var list []settingInfo
	for _, f := range append(kctx.Model.Flags, kctx.Selected().Flags...) {
		name := settingOf(f.Value)
		if name == "" {
			continue
		}
		info := settingInfo{Name: name, Value: fmt.Sprint(kctx.FlagValue(f)), Source: "default"}
		switch from, ok := con.Settings.resolved[f.Name]; {
		case given[f.Name]:
			info.Source = "--" + f.Name
		case ok:
			info.Source = from
		case info.Value == "":
			info.Source = "not set"
		}
		if isSecret(name) && info.Value != "" {
			info.Value = redact(info.Value)
		}
		list = append(list, info)
	}
	if c.JSON {
		return writeJSON(con.Out, list)
	}
	rows := make([][]string, 0, len(list))
	for _, i := range list {
		rows = append(rows, []string{i.Name, i.Value, i.Source})
	}
	if err := con.writeTable([]string{"SETTING", "VALUE", "FROM"}, rows); err != nil {
		return err
	}
	file := "none (./fanfare.yaml is read when it is there)"
	if con.Settings.file != nil {
		file = con.Settings.file.path
	}
	_, err := fmt.Fprintf(con.Out, "\nconfiguration file: %s\ndata folder's files: %s\n", file, filepath.Join(con.Settings.data, "{admin,demo}.env"))
	return err
}
