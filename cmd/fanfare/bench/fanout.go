package bench

import (
	"context"
	"fmt"
	"time"
)

type fanoutCmd struct {
	Subscribers int           `short:"n" default:"1000" placeholder:"N" help:"Subscribers of the channel, 1 to 200000. Default: ${default}."`
	Rate        float64       `default:"40" placeholder:"N" help:"Messages a second. Default: ${default}."`
	Size        int           `default:"128" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	Duration    time.Duration `default:"10s" placeholder:"TIME" help:"How long to measure. Default: ${default}."`
	Warm        time.Duration `default:"2s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	Ladder      bool          `help:"Begin at --rate and find the highest that is held: 99 % of messages within --within, none lost."`
	Within      time.Duration `default:"100ms" placeholder:"TIME" help:"For --ladder: the latency to keep. Default: ${default}."`
	Steps       int           `default:"16" placeholder:"N" help:"For --ladder: the most rates to try, 1 to 50. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (fanoutCmd) Help() string {
	return `Examples:

    fanfare bench fanout
    fanfare bench fanout --subscribers 5000 --rate 8 --size 1024 --json
    fanfare bench fanout --ladder --duration 5s

Each message carries the time at which it was due, so a server that falls behind shows it as latency.`
}

func (c *fanoutCmd) check() error {
	return first(checkRate(c.Rate),
		check("subscribers", c.Subscribers, 1, 200_000), check("size", c.Size, minSize, 65_536), check("steps", c.Steps, 1, 50),
		checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute), checkTime("within", c.Within, time.Minute),
	)
}

// Run measures fan-out.
func (c *fanoutCmd) Run(ctx context.Context, con *Console) error {
	if err := c.check(); err != nil {
		return err
	}
	report := &Report{Bench: "fanout", Load: Figures{
		{Name: "subscribers", Value: float64(c.Subscribers)}, {Name: "rate", Value: c.Rate}, {Name: "size_bytes", Value: float64(c.Size)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("fan-out: %s subscribers × %s messages/s × %d bytes, %v", number(float64(c.Subscribers)), number(c.Rate), c.Size, c.Duration)
	return c.target.run(ctx, con, report, c.Subscribers+1, c.measure)
}

func (c *fanoutCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	r, err := openRoom(ctx, &c.target, l, p, c.Subscribers, c.Size)
	if err != nil {
		return err
	}
	if !c.Ladder {
		s, err := r.hold(ctx, c.Rate, c.Warm, c.Duration)
		if err != nil {
			return err
		}
		report.Runs, report.Failed = []Run{s.run()}, s.failed
		return nil
	}
	report.title = fmt.Sprintf("fan-out: the highest rate to %s subscribers, %d bytes, p99 within %v", number(float64(c.Subscribers)), c.Size, c.Within)
	report.Load.add("within_us", micros(c.Within), "", "")
	ladder := ladder{rate: c.Rate, least: 2 / c.Duration.Seconds(), most: c.Steps}
	dropped := false
	for more := true; more; {
		held := false
		// A rate is tried twice before it is given up: the machine may have had
		// something else to do.
		for try := 0; try < 2 && !held; try++ {
			if dropped {
				// Whom the server dropped must be back.
				r.audience.leave()
				r.speaker.close()
				if r, err = openRoom(ctx, &c.target, l, p, c.Subscribers, c.Size); err != nil {
					return err
				}
			}
			s, err := r.hold(ctx, ladder.rate, c.Warm, c.Duration)
			if err != nil {
				return err
			}
			if s.latency == nil || s.latency.P99 > micros(c.Within) {
				s.failed = append(s.failed, fmt.Sprintf("p99 over %v", c.Within))
			}
			report.Runs = append(report.Runs, s.run())
			held = len(s.failed) == 0
			dropped = !held
		}
		more = ladder.next(held)
	}
	report.Summary.add("held_per_second", round(ladder.held), "highest rate held", "/s")
	report.Summary.add("held_deliveries_per_second", round(ladder.held*float64(c.Subscribers)), "deliveries at that rate", "/s")
	if ladder.held == 0 {
		report.Failed = append(report.Failed, "no rate was held")
	}
	return nil
}
