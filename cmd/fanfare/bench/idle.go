package bench

import (
	"context"
	"fmt"
	"time"
)

type idleCmd struct {
	Connections int           `short:"n" default:"10000" placeholder:"N" help:"Connections, each subscribed to a channel, 1 to 200000. Default: ${default}."`
	Channels    int           `default:"0" placeholder:"N" help:"Channels that they share. Default: one each."`
	Duration    time.Duration `default:"10s" placeholder:"TIME" help:"How long to look at them. Default: ${default}."`
	Settle      time.Duration `default:"3s" placeholder:"TIME" help:"How long to let the server settle before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (idleCmd) Help() string {
	return `Examples:

    fanfare bench idle
    fanfare bench idle --connections 50000 --duration 30s
    fanfare bench idle --pid 4711 --json

Memory per connection is the growth of the server's resident memory, without that of the kernel. It wants the server's
process (--pid, or one on this machine that this user may look at).`
}

// Run measures what connections cost that do nothing.
func (c *idleCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("connections", c.Connections, 1, 200_000), check("channels", c.Channels, 0, 200_000),
		checkTime("duration", c.Duration, 10*time.Minute), checkTime("settle", c.Settle, 10*time.Minute))
	if err != nil {
		return err
	}
	report := &Report{Bench: "idle", Load: Figures{
		{Name: "connections", Value: float64(c.Connections)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("idle: %s connections, subscribed and silent, %v", number(float64(c.Connections)), c.Duration)
	return c.target.run(ctx, con, report, c.Connections, c.measure)
}

func (c *idleCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	if len(c.PID) == 0 {
		return &Failure{Message: "idle is about the server's memory, and the server's process was not found", Remedy: "Name it with --pid, as a user who may look at it."}
	}
	a := newAudience(l, &c.target)
	n := float64(c.Connections)
	before, err := readUsage(c.PID)
	if err != nil {
		return err
	}
	channel := func(i int) uint32 {
		if c.Channels > 0 {
			i %= c.Channels
		}
		return uint32(i)
	}
	err = a.join(ctx, c.Connections, joinWindow, channel, func(done int) { p.show(number(float64(done))+" connections", float64(done), n) })
	if err != nil {
		return err
	}
	wait := func(d time.Duration, what string) (usage, error) {
		start := l.now()
		tick := func(now time.Duration) time.Duration {
			p.show(what, float64(now-start), float64(d))
			return now + 100*time.Millisecond
		}
		if _, err := l.run(ctx, d, tick, func() bool { return false }); err != nil {
			return usage{}, err
		}
		u, err := readUsage(c.PID)
		if err != nil {
			return usage{}, &Failure{Message: "the server is gone", Remedy: "Look at its log.", Err: err}
		}
		return u, nil
	}
	from, err := wait(c.Settle, "settling")
	if err != nil {
		return err
	}
	to, err := wait(c.Duration, "idle")
	if err != nil {
		return err
	}
	var run Run
	run.Figures.add("rss_bytes_per_connection", round(float64(to.rss-before.rss)/n), "server memory (RSS) per connection", "B")
	run.Figures.add("rss_before_bytes", float64(before.rss), "server memory before", "B")
	run.Figures.add("cpu_us_per_connection_second", hundredths(micros(to.cpu-from.cpu)/n/c.Duration.Seconds()), "server CPU per connection and second", "µs")
	run.Figures.addUsage(from, to, c.Duration, 0, "", "")
	run.Failed = a.faults.say(0, 0)
	report.Runs, report.Failed = []Run{run}, run.Failed
	return nil
}
