package bench

import (
	"context"
	"errors"
	"io"
)

// Cmd are the benchmarks on the command line, as kong reads it.
type Cmd struct {
	Fanout   fanoutCmd   `cmd:"" help:"One channel, many subscribers: latency, and the server's CPU per delivered message."`
	Channels channelsCmd `cmd:"" help:"Many channels with one subscriber each: the server's CPU per publish and delivery."`
	Publish  publishCmd  `cmd:"" help:"Publish as fast as it is acknowledged, one by one and in batches."`
	Idle     idleCmd     `cmd:"" help:"Many connections that only listen: the server's memory and CPU for each."`
	Connect  connectCmd  `cmd:"" help:"Connect and subscribe: how many a second, and how long each takes."`
	Churn    churnCmd    `cmd:"" help:"Subscribe and unsubscribe on open connections: how many pairs a second."`
	Slow     slowCmd     `cmd:"" help:"Subscribers that do not read beside others that do: the others' latency with and without."`
	Noisy    noisyCmd    `cmd:"" help:"A quiet app beside a noisy one: the quiet one's latency alone and beside it."`
	Resume   resumeCmd   `cmd:"" help:"Clients that missed messages come back: how long until they are caught up."`
	Plot     plotCmd     `cmd:"" help:"Draw reports of several runs together."`
}

// Console is what a benchmark talks to. It is handed to it by the program
// around it, whose ways of asking a server and finding settings are used.
type Console struct {
	Out, Err io.Writer
	Terminal bool // Err is a terminal: progress is shown

	// From says where a flag's value was found, "" if the flag was given.
	From func(flag string) string

	// Ask does one request of the REST API.
	Ask func(ctx context.Context, base, credential, method, path string, in, out any) error

	// WriteJSON writes v as the program writes JSON, and WriteTable rows below
	// a head.
	WriteJSON  func(v any) error
	WriteTable func(head []string, rows [][]string) error
}

// Failure is an error for the person at the terminal: what went wrong, and
// what to do. Err, if any, is the cause, for errors.Is.
type Failure struct {
	Message string
	Remedy  string
	Usage   bool // the command line is wrong
	Err     error
}

func (f *Failure) Error() string { return f.Message }
func (f *Failure) Unwrap() error { return f.Err }

// Advice is what the program shows below the message, and whether the command
// line is to blame.
func (f *Failure) Advice() (remedy string, usage bool) { return f.Remedy, f.Usage }

// ErrFailed says that a run was measured and shown, and that it has failed.
var ErrFailed = errors.New("the benchmark failed")
