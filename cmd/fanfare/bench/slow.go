package bench

import (
	"context"
	"fmt"
	"time"
)

type slowCmd struct {
	Subscribers int           `short:"n" default:"100" placeholder:"N" help:"Subscribers that read, 1 to 200000. Default: ${default}."`
	Slow        int           `default:"1" placeholder:"N" help:"Subscribers beside them that read nothing, 1 to 10000. Default: ${default}."`
	Rate        float64       `default:"50" placeholder:"N" help:"Messages a second. Default: ${default}."`
	Size        int           `default:"16384" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	Duration    time.Duration `default:"10s" placeholder:"TIME" help:"How long to measure each part. Default: ${default}."`
	Warm        time.Duration `default:"2s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (slowCmd) Help() string {
	return `Examples:

    fanfare bench slow
    fanfare bench slow --subscribers 10000 --slow 100 --rate 4 --json

The same load twice, without and with the slow ones. Only those who read are measured; what becomes of the slow ones is
told. The kernel holds up to 4 MiB for each of them before the server feels anything, so less than that shows nothing.`
}

// Run measures what slow readers do to others.
func (c *slowCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("subscribers", c.Subscribers, 1, 200_000), check("slow", c.Slow, 1, 10_000), checkRate(c.Rate), check("size", c.Size, minSize, 65_536),
		checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute))
	if err != nil {
		return err
	}
	report := &Report{Bench: "slow", Load: Figures{
		{Name: "subscribers", Value: float64(c.Subscribers)}, {Name: "slow", Value: float64(c.Slow)}, {Name: "rate", Value: c.Rate},
		{Name: "size_bytes", Value: float64(c.Size)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("slow readers: %d beside %s subscribers × %s messages/s × %d bytes, %v", c.Slow, number(float64(c.Subscribers)), number(c.Rate), c.Size, c.Duration)
	return c.target.run(ctx, con, report, c.Subscribers+c.Slow+1, c.measure)
}

func (c *slowCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	r, err := openRoom(ctx, &c.target, l, p, c.Subscribers, c.Size)
	if err != nil {
		return err
	}
	slow := newAudience(l, &c.target)
	slow.run, slow.readBuffer = r.audience.run, 4096
	for _, name := range []string{"without", "with"} {
		if name == "with" {
			slow.had = r.seq
			if err := slow.join(ctx, c.Slow, joinWindow, func(int) uint32 { return 0 }, func(int) {}); err != nil {
				return err
			}
			for _, s := range slow.subs {
				s.conn.silence(true)
			}
		}
		s, err := r.hold(ctx, c.Rate, c.Warm, c.Duration)
		if err != nil {
			return err
		}
		run := s.run()
		run.Name = name
		report.Runs = append(report.Runs, run)
		report.Failed = append(report.Failed, run.Failed...)
	}
	// What waits for the slow ones in the kernel comes before the end does.
	for _, s := range slow.subs {
		if s.conn != nil {
			s.conn.silence(false)
		}
	}
	if err := slow.wait(ctx, func() bool { return slow.joined == 0 || slow.missing(r.last) == 0 }); err != nil {
		return err
	}
	with, without := report.Runs[1].Latency, report.Runs[0].Latency
	if with != nil && without != nil {
		report.Summary.add("p99_ratio", hundredths(with.P99/without.P99), "p99 with ÷ without", "")
	}
	report.Summary.add("slow_ended", float64(slow.faults.dropped), "slow readers that the server ended", "")
	report.Summary.add("slow_caught_up", float64(c.Slow-slow.faults.dropped), "slow readers that were still connected", "")
	return nil
}
