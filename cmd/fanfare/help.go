package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// errHelp says that --help was among the arguments.
var errHelp = errors.New("help wanted")

// helpFlag is --help. It ends the parsing before anything is checked, so that
// help is there for a command line that is not complete yet.
type helpFlag bool

// IgnoreDefault keeps `fanfare --help` from being the help of serve.
func (helpFlag) IgnoreDefault() {}

// BeforeReset ends the parsing; run prints the help.
func (helpFlag) BeforeReset() error { return errHelp }

// printHelp writes the help of the selected command, or the overview.
func printHelp(kctx *kong.Context) error {
	if err := kctx.PrintUsage(false); err != nil {
		return fmt.Errorf("help: %w", err)
	}
	if kctx.Selected() == nil {
		_, err := fmt.Fprint(kctx.Stdout, overview)
		return err
	}
	return nil
}

// overview ends the help of `fanfare --help`: the first five minutes.
const overview = `
Try it:
  fanfare                                        start a server in this folder
  fanfare sub hello                              in a second terminal: listen
  fanfare pub hello '{"n":1}'                    in a third: say something
  fanfare doctor                                 when something is odd
  fanfare app create shop                        an app of your own
  fanfare key create --app shop --kind secret    its secret key

Settings come from flags, else FANFARE_* variables, else fanfare.yaml, else the data
folder's demo.env and admin.env, else defaults; "fanfare config" shows which.
Run "fanfare <command> --help" for a command's flags and examples.
`

// flagHelp is a flag's help text with the variable that sets it, too.
func flagHelp(v *kong.Value) string {
	help := v.Help
	if name := settingOf(v); name != "" {
		help = strings.TrimSuffix(help, ".") + " ($" + envName(name) + ")."
	} else if env := v.Tag.Get("env-name"); env != "" {
		help = strings.TrimSuffix(help, ".") + " ($" + env + ")."
	}
	return help
}

// examples lays out the detail of a command's help: each line stands as it is.
func examples(lines ...string) string {
	return "Examples:\n\n    " + strings.Join(lines, "\n    ")
}
