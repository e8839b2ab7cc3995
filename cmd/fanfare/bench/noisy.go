package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

type noisyCmd struct {
	Subscribers      int           `short:"n" default:"10" placeholder:"N" help:"Subscribers of the quiet app, 1 to 200000. Default: ${default}."`
	Rate             float64       `default:"20" placeholder:"N" help:"Messages a second of the quiet app. Default: ${default}."`
	NoisySubscribers int           `name:"noisy-subscribers" default:"1000" placeholder:"N" help:"Subscribers of the noisy app, 1 to 200000. Default: ${default}."`
	NoisyRate        float64       `name:"noisy-rate" default:"40" placeholder:"N" help:"Messages a second of the noisy app. Default: ${default}."`
	Size             int           `default:"128" placeholder:"BYTES" help:"Bytes of a message's data, 49 to 65536. Default: ${default}."`
	Duration         time.Duration `default:"10s" placeholder:"TIME" help:"How long to measure each part. Default: ${default}."`
	Warm             time.Duration `default:"2s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (noisyCmd) Help() string {
	return `Examples:

    fanfare bench noisy
    fanfare bench noisy --noisy-subscribers 5000 --noisy-rate 8 --json

The quiet app twice, alone and beside the noisy one; only the quiet one's messages are measured. The load of both comes from
this program: where server and load share few cores, a part of the difference is its own.`
}

// Run measures what one app feels of another.
func (c *noisyCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("subscribers", c.Subscribers, 1, 200_000), check("noisy-subscribers", c.NoisySubscribers, 1, 200_000), checkRate(c.Rate), checkRate(c.NoisyRate),
		check("size", c.Size, minSize, 65_536), checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute))
	if err != nil {
		return err
	}
	if c.Wire != "fanfare" && c.Wire != "sse" {
		return &Failure{Message: "--wire " + c.Wire + " has no apps that could disturb each other", Remedy: "Leave --wire out, or choose fanfare or sse.", Usage: true}
	}
	report := &Report{Bench: "noisy", Load: Figures{
		{Name: "subscribers", Value: float64(c.Subscribers)}, {Name: "rate", Value: c.Rate}, {Name: "noisy_subscribers", Value: float64(c.NoisySubscribers)},
		{Name: "noisy_rate", Value: c.NoisyRate}, {Name: "size_bytes", Value: float64(c.Size)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("noisy neighbour: %s subscribers × %s messages/s beside another app's %s × %s, %d bytes, %v",
		number(float64(c.Subscribers)), number(c.Rate), number(float64(c.NoisySubscribers)), number(c.NoisyRate), c.Size, c.Duration)
	return c.target.run(ctx, con, report, c.Subscribers+c.NoisySubscribers+2, func(ctx context.Context, l *loop, p *progress, report *Report) error {
		return c.measure(ctx, con, l, p, report)
	})
}

func (c *noisyCmd) measure(ctx context.Context, con *Console, l *loop, p *progress, report *Report) error {
	quiet, err := openRoom(ctx, &c.target, l, p, c.Subscribers, c.Size)
	if err != nil {
		return err
	}
	part := func(name string) error {
		s, err := quiet.hold(ctx, c.Rate, c.Warm, c.Duration)
		if err != nil {
			return err
		}
		run := s.run()
		run.Name = name
		report.Runs = append(report.Runs, run)
		report.Failed = append(report.Failed, run.Failed...)
		return nil
	}
	if err := part("alone"); err != nil {
		return err
	}
	stop, err := c.makeNoise(ctx, con)
	if err != nil {
		return err
	}
	err = part("beside")
	if nerr := stop(); err == nil {
		err = nerr
	}
	if err != nil {
		return err
	}
	alone, beside := report.Runs[0].Latency, report.Runs[1].Latency
	if alone != nil && beside != nil {
		report.Summary.add("p99_ratio", hundredths(beside.P99/alone.P99), "p99 beside ÷ alone", "")
	}
	return nil
}

// makeNoise lets another app publish, from a goroutine with an event loop of
// its own, until stop, which waits for it.
func (c *noisyCmd) makeNoise(ctx context.Context, con *Console) (stop func() error, err error) {
	noisy := c.target // the same server
	closed, err := noisy.app(ctx, con)
	if err != nil {
		return nil, err
	}
	l, err := newLoop()
	if err != nil {
		closed()
		return nil, err
	}
	if noisy.wire, err = newWire(&noisy); err != nil {
		l.close()
		closed()
		return nil, err
	}
	room, err := openRoom(ctx, &noisy, l, &progress{}, c.NoisySubscribers, c.Size)
	if err != nil {
		l.close()
		closed()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := room.hold(ctx, c.NoisyRate, 0, time.Hour)
		done <- err
	}()
	return func() error {
		cancel()
		err := <-done
		l.close()
		closed()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}, nil
}
