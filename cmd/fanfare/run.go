package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// cli is the whole command line, as kong reads it.
type cli struct {
	Help   helpFlag `short:"h" help:"Show help, with examples."`
	Config string   `placeholder:"FILE" env-name:"FANFARE_CONFIG" complete:"file" help:"Configuration file. Default: ./fanfare.yaml where there is one."`
	Data   string   `setting:"data" default:"./fanfare-data" placeholder:"DIR" complete:"dir" help:"The server's data folder: read for its demo.env and admin.env, too."`

	Serve  serveCmd  `cmd:"" default:"withargs" group:"run" help:"Run the server. This is what fanfare does without a command."`
	Doctor doctorCmd `cmd:"" group:"run" help:"Check folder, disk, port, clock and server, and send a message through it."`
	Health healthCmd `cmd:"" group:"run" help:"Exit with 0 where the server is ready and 1 where it is not, for containers."`
	Cfg    configCmd `cmd:"" name:"config" group:"run" help:"Show each setting, its value, and where that comes from."`
	Link   linkCmd   `cmd:"" group:"run" help:"Make a one-time link that signs you in to the dashboard."`

	Backup  backupCmd  `cmd:"" group:"run" help:"Back up a running server into a file."`
	Restore restoreCmd `cmd:"" group:"run" help:"Make a data folder of a backup."`

	Pub pubCmd `cmd:"" group:"talk" help:"Publish to a channel."`
	Sub subCmd `cmd:"" group:"talk" help:"Show the messages of channels as they come."`

	History historyCmd `cmd:"" group:"talk" help:"Show the messages that a channel keeps."`

	Bench bench.Cmd `cmd:"" group:"talk" help:"Measure a server: latency, memory and CPU under load."`

	App   appCmd   `cmd:"" group:"admin" help:"The apps of your account."`
	Key   keyCmd   `cmd:"" group:"admin" help:"The keys of an app."`
	Door  doorCmd  `cmd:"" group:"admin" help:"An app's doors for clients made for Pusher or GoEasy."`
	Token tokenCmd `cmd:"" group:"admin" help:"Tokens for an app's users."`

	Usage   usageCmd   `cmd:"" group:"admin" help:"What an app, your account or everybody used."`
	Account accountCmd `cmd:"" group:"admin" help:"The accounts of a server, for its operator."`

	Webhook webhookCmd `cmd:"" group:"admin" help:"Webhooks: URLs that are told what happens in an app."`

	QR qrCmd `cmd:"" name:"qr" group:"admin" help:"Sign-in by QR code: audit a deployment."`

	Version    versionCmd    `cmd:"" group:"about" help:"Show the version."`
	Completion completionCmd `cmd:"" group:"about" help:"Print a completion script for your shell."`
}

// console is what a command talks to: the streams of one run and its
// settings. It is used by one goroutine, and its life is that of the run.
type console struct {
	In       io.Reader
	Out, Err io.Writer
	Color    bool // Out is a terminal that wants colours
	Settings *settings
}

// failure is an error for the person at the terminal: what went wrong, and
// what to do. Err, if any, is the cause, for errors.Is.
type failure struct {
	Message string
	Remedy  string
	Usage   bool // the command line or the configuration is wrong: exit status 2
	Err     error
}

func (f *failure) Error() string                       { return f.Message }
func (f *failure) Unwrap() error                       { return f.Err }
func (f *failure) Advice() (remedy string, usage bool) { return f.Remedy, f.Usage }

// adviser is an error that knows what to do about it, and whether the command
// line is to blame.
type adviser interface {
	error
	Advice() (remedy string, usage bool)
}

// errQuiet ends a command with status 1 and without a word: it has said all.
var errQuiet = errors.New("failed")

// run is the program: it reads args, does the command and returns the exit
// status. It writes answers to stdout, and errors and logs to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	s := newSettings(environ)
	con := &console{In: stdin, Out: stdout, Err: stderr, Settings: s, Color: wantsColor(stdout, s)}
	parser, err := newParser(ctx, con)
	if err != nil {
		return report(stderr, err)
	}
	kctx, err := parser.Parse(args)
	if errors.Is(err, errHelp) {
		if pe, ok := errors.AsType[*kong.ParseError](err); ok {
			err = printHelp(pe.Context)
		}
		return report(stderr, err)
	}
	if err != nil {
		return report(stderr, usage(s, parser.Model, args, err))
	}
	return report(stderr, kctx.Run())
}

// newParser builds the command line's model. Values of settings that no flag
// gave are resolved while parsing, by con.Settings.
func newParser(ctx context.Context, con *console) (*kong.Kong, error) {
	parser, err := kong.New(&cli{},
		kong.Name("fanfare"),
		kong.Description("Fanfare: self-hosted, multi-tenant push channels. Publish over HTTP, receive over WebSocket and SSE."),
		kong.NoDefaultHelp(),
		kong.Writers(con.Out, con.Err),
		kong.ExplicitGroups([]kong.Group{
			{Key: "run", Title: "Run a server:"},
			{Key: "talk", Title: "Publish and subscribe:"},
			{Key: "admin", Title: "Administer (needs the server's account token):"},
			{Key: "about", Title: "More:"},
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.ValueFormatter(flagHelp),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(con, con.forBench()),
	)
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	con.Settings.learn(parser.Model)
	return parser, nil
}

// BeforeResolve reads the configuration, once it is known which command wants
// it; kong calls it between reading the flags and filling in what they left.
func (c *cli) BeforeResolve(kctx *kong.Context, con *console) error {
	switch kctx.Command() {
	case "version", "completion <shell>":
		return nil // these work whatever the configuration looks like
	}
	given := func(name string) string {
		for _, p := range kctx.Path {
			if p.Flag != nil && p.Flag.Name == name {
				return fmt.Sprint(kctx.FlagValue(p.Flag))
			}
		}
		return ""
	}
	if err := con.Settings.load(given("config"), given("data")); err != nil {
		return err
	}
	for _, w := range con.Settings.unknownEnv() {
		fmt.Fprintf(con.Err, "fanfare: warning: %s\n", w)
	}
	kctx.AddResolver(con.Settings)
	return nil
}

// usage turns kong's error into a failure that says where the wrong value came
// from, when no flag gave it.
func usage(s *settings, model *kong.Application, args []string, err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if len(args) > 0 && strings.HasSuffix(err.Error(), "unexpected argument "+args[0]) {
		return unknownCommand(model, args[0])
	}
	command := "fanfare"
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if n := pe.Context.Selected(); n != nil {
			command = n.FullPath()
		}
		err = pe.Unwrap()
	}
	text := err.Error()
	for flag, from := range s.resolved {
		if strings.Contains(text, "--"+flag) {
			text += " (from " + from + ")"
		}
	}
	return &failure{Message: text, Remedy: "See " + command + " --help.", Usage: true}
}

// unknownCommand is the failure of a word that stands where a command should.
func unknownCommand(model *kong.Application, word string) error {
	var names []string
	for _, n := range model.Children {
		names = append(names, n.Name)
	}
	f := &failure{Message: fmt.Sprintf("there is no command %q", word), Remedy: "fanfare --help lists the commands.", Usage: true}
	if near := nearest(word, names); near != "" {
		f.Message += fmt.Sprintf("; did you mean %q?", near)
	}
	return f
}

// report writes err as people read it and returns the exit status it means.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errQuiet) || errors.Is(err, bench.ErrFailed) {
		return 1 // it has said all
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "fanfare: interrupted")
		return 130
	}
	message, remedy, status := err.Error(), "", 1
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		message, remedy = e.Message, e.Remedy
		if e.Channel != "" {
			message += fmt.Sprintf(" (channel %s)", e.Channel)
		}
		message += " [" + string(e.Code) + "]"
	} else if a, ok := errors.AsType[adviser](err); ok {
		usage := false
		if remedy, usage = a.Advice(); usage {
			status = 2
		}
		if f, ok := errors.AsType[*failure](err); ok {
			message = f.Message
		}
	}
	fmt.Fprintln(stderr, "fanfare: "+oneLine(message))
	if remedy != "" {
		fmt.Fprintln(stderr, "remedy: "+oneLine(remedy))
	}
	return status
}

// oneLine keeps what others wrote from breaking out of its line, or from
// steering the terminal.
func oneLine(s string) string { return escapeControl(strings.Join(strings.Fields(s), " ")) }
