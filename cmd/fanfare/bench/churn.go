package bench

import (
	"context"
	"fmt"
	"time"
)

type churnCmd struct {
	Connections int           `short:"c" default:"64" placeholder:"N" help:"Connections that subscribe and unsubscribe, 1 to 10000. Default: ${default}."`
	Channels    int           `default:"10000" placeholder:"N" help:"Channels, in turn. Default: ${default}."`
	Duration    time.Duration `default:"5s" placeholder:"TIME" help:"How long to measure. Default: ${default}."`
	Warm        time.Duration `default:"1s" placeholder:"TIME" help:"How long to warm up before. Default: ${default}."`
	target
}

// Help is part of kong.HelpProvider.
func (churnCmd) Help() string {
	return `Examples:

    fanfare bench churn
    fanfare bench churn --connections 500 --channels 100000 --json

A connection waits for each answer before its next command. Connections may subscribe a hundred times a second unless
their app's limit is another; the app that bench makes has none that matters.`
}

// Run measures subscribing and unsubscribing.
func (c *churnCmd) Run(ctx context.Context, con *Console) error {
	err := first(check("connections", c.Connections, 1, 10_000), check("channels", c.Channels, 1, 10_000_000),
		checkTime("duration", c.Duration, 10*time.Minute), checkTime("warm", c.Warm, time.Minute))
	if err != nil {
		return err
	}
	report := &Report{Bench: "churn", Load: Figures{
		{Name: "connections", Value: float64(c.Connections)}, {Name: "channels", Value: float64(c.Channels)}, {Name: "seconds", Value: c.Duration.Seconds()},
	}}
	report.title = fmt.Sprintf("churn: %d connections, %s channels, %v", c.Connections, number(float64(c.Channels)), c.Duration)
	return c.target.run(ctx, con, report, c.Connections, c.measure)
}

func (c *churnCmd) measure(ctx context.Context, l *loop, p *progress, report *Report) error {
	wire, ok := c.wire.(churner)
	if !ok {
		return &Failure{Message: "on the wire " + c.Wire + " a connection cannot change its channels", Remedy: "Use --wire fanfare, pusher or centrifuge.", Usage: true}
	}
	a := newAudience(l, &c.target)
	var pairs uint64
	var half histogram
	asked := make([]time.Duration, c.Connections)
	var m meter
	// next sends a subscriber's command number turn: even ones subscribe, odd
	// ones unsubscribe from the same channel.
	next := func(s *subscriber) {
		i := int(s.channel) - c.Channels
		channel := a.channelName(uint32((s.turn/2*c.Connections + i) % c.Channels))
		asked[i] = l.now()
		if s.turn%2 == 0 {
			s.send(wire.subscribe(channel, firstCommand+int64(s.turn)))
		} else {
			s.send(wire.unsubscribe(channel, firstCommand+int64(s.turn)))
		}
	}
	stopped := false
	a.answered = func(s *subscriber, command int64) {
		if command != firstCommand+int64(s.turn) {
			return
		}
		now := l.now()
		if now >= m.from && now < m.to {
			half.record(now - asked[int(s.channel)-c.Channels])
			if s.turn%2 == 1 {
				pairs++
			}
		}
		if s.turn++; !stopped {
			next(s)
		}
	}
	// Each also has a channel of its own, behind those, for its whole life.
	if err := a.join(ctx, c.Connections, joinWindow, func(i int) uint32 { return uint32(c.Channels + i) }, func(int) {}); err != nil {
		return err
	}
	start := l.now()
	m = meter{pids: c.PID, from: start + c.Warm, to: start + c.Warm + c.Duration}
	for _, s := range a.subs {
		next(s)
	}
	_, err := l.run(ctx, c.Warm+c.Duration+time.Second, func(now time.Duration) time.Duration {
		p.show("subscribing and unsubscribing", float64(now-start), float64(m.to-start))
		return min(m.tick(now), now+100*time.Millisecond)
	}, func() bool { return m.ended || a.joined == 0 })
	if err != nil {
		return err
	}
	stopped = true
	run := Run{Latency: half.latency(), Failed: a.faults.say(0, 0)}
	run.Figures.add("pairs_per_second", round(float64(pairs)/c.Duration.Seconds()), "subscribed and unsubscribed", "/s")
	m.addTo(&run.Figures, pairs, "pair", "pair")
	report.Runs, report.Failed = []Run{run}, run.Failed
	return nil
}
