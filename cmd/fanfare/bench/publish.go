package bench

import (
	"context"
	"fmt"
	"time"
)

type publishCmd struct {
	Connections int           `short:"c" default:"64" placeholder:"N" help:"Connections that publish, each the next when the last is acknowledged, 1 to 1000. Default: ${default}."`
	Batch       int           `default:"100" placeholder:"N" help:"Messages a request in the second part, up to 1000; 1 leaves that part out. Default: ${default}."`
	Writers     int           `default:"8" placeholder:"N" help:"Connections of the second part. Default: ${default}."`
	Channels    int           `default:"1000" placeholder:"N" help:"Channels, in turn. Default: ${default}."`
	Size        int           `default:"128" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	Duration    time.Duration `default:"10s" placeholder:"TIME" help:"How long to measure each part. Default: ${default}."`
	Warm        time.Duration `default:"2s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (publishCmd) Help() string {
	return `Examples:

    fanfare bench publish
    fanfare bench publish --connections 256 --batch 1
    fanfare bench publish --ephemeral --json

Nobody is subscribed. On durable channels (the default) a publish is acknowledged when it is stored.`
}

// Run measures publishing.
func (c *publishCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("connections", c.Connections, 1, 1000), check("batch", c.Batch, 1, 1000), check("writers", c.Writers, 1, 1000),
		check("channels", c.Channels, 1, 1_000_000), check("size", c.Size, minSize, 65_536),
		checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute))
	if err != nil {
		return err
	}
	title := fmt.Sprintf("publish: %s channels, %d bytes, %v", number(float64(c.Channels)), c.Size, c.Duration)
	report := &Report{Bench: "publish", Load: Figures{
		{Name: "connections", Value: float64(c.Connections)}, {Name: "batch", Value: float64(c.Batch)}, {Name: "channels", Value: float64(c.Channels)},
		{Name: "size_bytes", Value: float64(c.Size)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}, title: title}
	return c.target.run(ctx, con, report, c.Connections+c.Writers, c.measure)
}

func (c *publishCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	parts := []struct{ writers, batch int }{{c.Connections, 1}, {c.Writers, c.Batch}}
	if c.Batch == 1 {
		parts = parts[:1]
	}
	for _, part := range parts {
		run, err := c.part(ctx, l, p, part.writers, part.batch)
		if err != nil {
			return err
		}
		report.Runs = append(report.Runs, run)
		report.Failed = append(report.Failed, run.Failed...)
	}
	return nil
}

func (c *publishCmd) part(ctx context.Context, l *loop, p *progress, connections, batch int) (Run, error) {
	a := newAudience(l, &c.target)
	w, err := newWriters(ctx, a, connections, c.Channels, c.Size, batch)
	if err != nil {
		return Run{}, err
	}
	defer w.close()
	run := Run{Name: fmt.Sprintf("%d × %d", len(w.list), batch)}
	start := l.now()
	m := &meter{pids: c.PID, from: start + c.Warm, to: start + c.Warm + c.Duration}
	err = w.run(ctx, m, func(now time.Duration) { p.show("publishing "+run.Name, float64(now-start), float64(m.to-start)) })
	if err != nil {
		return run, err
	}
	if err := a.wait(ctx, func() bool { return !w.waiting() || w.failed() }); err != nil {
		return run, err
	}
	run.Failed, run.Latency = blame(w.list...), w.latency()
	run.Figures.add("batch", float64(batch), "messages a request", "")
	run.Figures.add("published_per_second", round(float64(w.published)/c.Duration.Seconds()), "published/s", "/s")
	m.addTo(&run.Figures, w.published, "published", "message")
	return run, nil
}
