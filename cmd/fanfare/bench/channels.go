package bench

import (
	"context"
	"fmt"
	"time"
)

type channelsCmd struct {
	Channels   int           `short:"n" default:"5000" placeholder:"N" help:"Channels with one subscriber each, 1 to 200000. Default: ${default}."`
	Publishers int           `short:"c" default:"16" placeholder:"N" help:"Kept-alive connections that publish, each the next when the last is answered, 1 to 1000. Default: ${default}."`
	Batch      int           `default:"1" placeholder:"N" help:"Messages a request, 1 to 1000. Default: ${default}."`
	Size       int           `default:"128" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	Duration   time.Duration `default:"10s" placeholder:"TIME" help:"How long to measure. Default: ${default}."`
	Warm       time.Duration `default:"2s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (channelsCmd) Help() string {
	return `Examples:

    fanfare bench channels
    fanfare bench channels --channels 20000 --batch 50
    fanfare bench channels --ephemeral --publishers 64 --json

Messages go out as fast as they are answered: the figure to look at is the server's CPU for each.`
}

// Run measures many small channels.
func (c *channelsCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("channels", c.Channels, 1, 200_000), check("publishers", c.Publishers, 1, 1000), check("batch", c.Batch, 1, 1000),
		check("size", c.Size, minSize, 65_536), checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute))
	if err != nil {
		return err
	}
	report := &Report{Bench: "channels", Load: Figures{
		{Name: "channels", Value: float64(c.Channels)}, {Name: "publishers", Value: float64(c.Publishers)}, {Name: "batch", Value: float64(c.Batch)},
		{Name: "size_bytes", Value: float64(c.Size)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("channels: %s × 1 subscriber, %d publishers, %d a request, %d bytes, %v", number(float64(c.Channels)), c.Publishers, c.Batch, c.Size, c.Duration)
	return c.target.run(ctx, con, report, c.Channels+c.Publishers, c.measure)
}

func (c *channelsCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	a := newAudience(l, &c.target)
	n := float64(c.Channels)
	err := a.join(ctx, c.Channels, joinWindow, func(i int) uint32 { return uint32(i) }, func(done int) {
		p.show(fmt.Sprintf("%s of %s subscribers", number(float64(done)), number(n)), float64(done), n)
	})
	if err != nil {
		return err
	}
	w, err := newWriters(ctx, a, c.Publishers, c.Channels, c.Size, c.Batch)
	if err != nil {
		return err
	}
	start := l.now()
	a.measure(start+c.Warm, start+c.Warm+c.Duration)
	m := &meter{pids: c.PID, from: a.from, to: a.to}
	err = w.run(ctx, m, func(now time.Duration) { p.show("publishing", float64(now-start), float64(m.to-start)) })
	if err != nil {
		return err
	}
	stuck := func() bool { return w.failed() || a.joined == 0 }
	if err := a.wait(ctx, func() bool { return stuck() || !w.waiting() && a.missing(w.last) == 0 }); err != nil {
		return err
	}
	run := Run{Latency: a.latency.latency()}
	run.Failed = append(a.faults.say(a.missing(w.last), w.all()), blame(w.list...)...)
	run.Figures.add("published", float64(w.published), "published and delivered", "")
	run.Figures.add("published_per_second", round(float64(w.published)/c.Duration.Seconds()), "published/s", "/s")
	m.addTo(&run.Figures, w.published, "message", "publish and delivery")
	if l := w.latency(); l != nil {
		run.Figures.add("answer_p50_us", l.P50, "publish answered, p50", "µs")
		run.Figures.add("answer_p99_us", l.P99, "publish answered, p99", "µs")
	}
	report.Runs, report.Failed = []Run{run}, run.Failed
	return nil
}
