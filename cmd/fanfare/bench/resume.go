package bench

import (
	"context"
	"fmt"
	"os"
	"time"
)

type resumeCmd struct {
	Clients  int `short:"n" default:"1000" placeholder:"N" help:"Clients that come back, 1 to 200000. Default: ${default}."`
	Missed   int `default:"100" placeholder:"N" help:"Messages that each of them missed, 1 to 9999. Default: ${default}."`
	Channels int `default:"100" placeholder:"N" help:"Channels that they share, 1 to 100000. Default: ${default}."`
	AtOnce   int `default:"0" placeholder:"N" help:"How many come back at a time. Default: all at once."`
	Size     int `default:"128" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (resumeCmd) Help() string {
	return `Examples:

    fanfare bench resume
    fanfare bench resume --clients 1 --channels 1
    fanfare bench resume --clients 5000 --json
    fanfare bench resume --clients 5000 --at-once 200

The latency is from a client's first packet to the last message that it missed. The app that bench makes keeps as many
messages as are missed; with --key it is up to that app's rules (by default a channel keeps 100, so 99 can be missed).`
}

// Run measures coming back.
func (c *resumeCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("clients", c.Clients, 1, 200_000), check("missed", c.Missed, 1, 9999), check("channels", c.Channels, 1, 100_000),
		check("at-once", c.AtOnce, 0, 200_000), check("size", c.Size, minSize, 65_536))
	if err != nil {
		return err
	}
	c.Channels = min(c.Channels, c.Clients)
	if c.AtOnce == 0 {
		c.AtOnce = c.Clients
	}
	c.keep = c.Missed + 1 // the one before is how the server knows that none is gone
	report := &Report{Bench: "resume", Load: Figures{
		{Name: "clients", Value: float64(c.Clients)}, {Name: "missed", Value: float64(c.Missed)}, {Name: "channels", Value: float64(c.Channels)},
		{Name: "at_once", Value: float64(c.AtOnce)}, {Name: "size_bytes", Value: float64(c.Size)},
	}}
	report.title = fmt.Sprintf("resume: %s clients of %s channels, %d messages missed, %s at a time", number(float64(c.Clients)), number(float64(c.Channels)), c.Missed, number(float64(c.AtOnce)))
	return c.target.run(ctx, con, report, c.Clients+resumeWriters, c.measure)
}

const (
	resumeWriters = 8
	resumeBatch   = 50
)

func (c *resumeCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	wire, ok := c.wire.(resumer)
	if !ok || c.Ephemeral {
		return &Failure{Message: "nothing can be resumed there", Remedy: "Use --wire fanfare or centrifuge, and leave --ephemeral out.", Usage: true}
	}
	channel := func(i int) uint32 { return uint32(i % c.Channels) }
	positions := make([]string, c.Channels)

	// One subscriber of each channel learns the position of its first message.
	scout := newAudience(l, &c.target)
	scout.heardText = func(s *subscriber, text []byte) { positions[s.channel] = wire.position(text, positions[s.channel]) }
	if err := scout.join(ctx, c.Channels, joinWindow, channel, func(int) {}); err != nil {
		return err
	}
	w, err := newWriters(ctx, scout, resumeWriters, c.Channels, c.Size, resumeBatch)
	if err != nil {
		return err
	}
	if err := w.fill(ctx, 1); err != nil {
		return err
	}
	if err := scout.wait(ctx, func() bool { return scout.missing(w.last) == 0 }); err != nil {
		return err
	}
	if n := scout.missing(w.last); n > 0 {
		return &Failure{Message: fmt.Sprintf("%d first messages never came", n), Remedy: "Look at the server's log."}
	}
	scout.leave()
	p.show("publishing what is missed", 1, 2)
	if err := w.fill(ctx, uint32(1+c.Missed)); err != nil {
		return err
	}
	w.close()

	a := newAudience(l, &c.target)
	a.run, a.had, a.goal = scout.run, 1, uint32(1+c.Missed)
	a.greet = func(channel uint32) []byte { return wire.resume(a.channelName(channel), positions[channel]) }
	run, err := c.comeBack(ctx, a, p, channel, w)
	report.Runs, report.Failed = []Run{run}, run.Failed
	return err
}

// comeBack is the part that is measured.
func (c *resumeCmd) comeBack(ctx context.Context, a *audience, p *progress, channel func(int) uint32, w *writers) (Run, error) {
	resetPeak(c.PID)
	l := a.loop
	m := &meter{pids: c.PID, from: l.now(), to: never}
	m.tick(m.from)
	n := float64(c.Clients)
	err := a.join(ctx, c.Clients, c.AtOnce, channel, func(int) { p.show("caught up", float64(a.caughtUp), n) })
	if err != nil {
		return Run{}, err
	}
	err = a.wait(ctx, func() bool {
		p.show("caught up", float64(a.caughtUp), n)
		return a.caughtUp == c.Clients || a.joined == 0
	})
	if err != nil {
		return Run{}, err
	}
	m.to = l.now()
	m.tick(m.to)
	run := Run{Latency: a.catches.latency(), Failed: a.faults.say(a.missing(w.last), uint64(c.Clients)*uint64(c.Missed))}
	run.Figures.add("caught_up", float64(a.caughtUp), "caught up", "")
	run.Figures.add("seconds", hundredths((m.to - m.from).Seconds()), "all of them", "s")
	run.Figures.add("rss_before_bytes", float64(m.before.rss), "server memory before", "B")
	m.addTo(&run.Figures, uint64(a.caughtUp), "client", "client")
	return run, nil
}

// resetPeak has the kernel forget the peak of processes' memory so far, where
// this user may (proc_pid_clear_refs(5)); else the peak is that of their lives.
func resetPeak(pids []int) {
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
}

// fill publishes until each channel has n messages, and waits until all are
// acknowledged.
func (w *writers) fill(ctx context.Context, n uint32) error {
	w.goal = n
	for i := range w.list {
		w.write(i)
	}
	full := func() bool { return !w.waiting() || w.failed() }
	ok, err := w.loop.run(ctx, 2*time.Minute, nil, full)
	if err != nil {
		return err
	}
	if why := blame(w.list...); len(why) > 0 || !ok {
		return &Failure{Message: "publishing failed: " + fmt.Sprint(why), Remedy: "Look at the server's log."}
	}
	return nil
}
