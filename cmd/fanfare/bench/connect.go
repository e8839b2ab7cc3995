package bench

import (
	"context"
	"fmt"
)

type connectCmd struct {
	Connections int `short:"n" default:"5000" placeholder:"N" help:"Connections to open, each subscribed to a channel of its own, 1 to 200000. Default: ${default}."`
	Concurrency int `short:"c" default:"128" placeholder:"N" help:"How many are being opened at a time, 1 to 10000. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (connectCmd) Help() string {
	return `Examples:

    fanfare bench connect
    fanfare bench connect --connections 20000 --concurrency 500 --json

The latency is from the first packet to the answer that the channel is subscribed to.`
}

// Run measures connecting.
func (c *connectCmd) Run(ctx context.Context, con *Console) error {
	if err := first(check("connections", c.Connections, 1, 200_000), check("concurrency", c.Concurrency, 1, 10_000)); err != nil {
		return err
	}
	report := &Report{Bench: "connect", Load: Figures{{Name: "connections", Value: float64(c.Connections)}, {Name: "concurrency", Value: float64(c.Concurrency)}}}
	report.title = fmt.Sprintf("connect and subscribe: %s connections, %d at a time", number(float64(c.Connections)), c.Concurrency)
	return c.target.run(ctx, con, report, c.Connections, c.measure)
}

func (c *connectCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	a := newAudience(l, &c.target)
	m := &meter{pids: c.PID, from: l.now(), to: never}
	m.tick(m.from)
	n := float64(c.Connections)
	err := a.join(ctx, c.Connections, c.Concurrency, func(i int) uint32 { return uint32(i) }, func(done int) {
		p.show(number(float64(done))+" connections", float64(done), n)
	})
	if err != nil {
		return err
	}
	m.to = l.now()
	m.tick(m.to)
	run := Run{Latency: a.joins.latency(), Failed: a.faults.say(0, 0)}
	took := m.to - m.from
	run.Figures.add("connects_per_second", round(n/took.Seconds()), "connected and subscribed", "/s")
	run.Figures.add("seconds", hundredths(took.Seconds()), "all of them", "s")
	m.addTo(&run.Figures, uint64(c.Connections), "connect", "connection")
	report.Runs, report.Failed = []Run{run}, run.Failed
	return nil
}
