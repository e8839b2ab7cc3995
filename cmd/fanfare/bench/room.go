package bench

import (
	"context"
	"fmt"
	"time"
)

// room is one channel with its subscribers and the connection that publishes
// on it, for the benchmarks of fan-out.
type room struct {
	target   *target
	audience *audience
	speaker  *publisher
	progress *progress
	size     int
	seq      uint32 // of the last message
	data     []byte // scratch
}

// openRoom fills a room with n subscribers.
func openRoom(ctx context.Context, t *target, l *loop, p *progress, n, size int) (*room, error) {
	r := &room{target: t, progress: p, size: size, audience: newAudience(l, t)}
	err := r.audience.join(ctx, n, joinWindow, func(int) uint32 { return 0 }, func(done int) {
		p.show(fmt.Sprintf("%s of %s subscribers", number(float64(done)), number(float64(n))), float64(done), float64(n))
	})
	if err != nil {
		return nil, err
	}
	speakers, err := connectPublishers(ctx, l, t, 1)
	if err != nil {
		return nil, err
	}
	r.speaker = speakers[0]
	return r, nil
}

// speak publishes the next message, due at a time.
func (r *room) speak(due time.Duration) {
	r.seq++
	r.data = mark{run: r.audience.run, seq: r.seq, due: due}.appendData(r.data[:0], r.size)
	r.speaker.send(r.target.wire, []message{{r.audience.channelName(0), r.data}}, due)
}

// step is what a room measured at one rate.
type step struct {
	rate      float64 // messages a second
	over      time.Duration
	published uint64
	delivered uint64
	meter     meter
	latency   *Latency
	failed    []string
}

// hold publishes at a rate, first for warm and then for as long as is
// measured, and waits for what is still on its way.
func (r *room) hold(ctx context.Context, rate float64, warm, duration time.Duration) (step, error) {
	a, l := r.audience, r.audience.loop
	start := l.now() + 10*time.Millisecond
	a.measure(start+warm, start+warm+duration)
	s := step{rate: rate, over: duration, meter: meter{pids: r.target.PID, from: a.from, to: a.to}}
	firstSeq, sent := r.seq, 0
	due := func() time.Duration { return start + time.Duration(float64(sent)*float64(time.Second)/rate) }
	what := fmt.Sprintf("%s messages/s to %s subscribers", number(rate), number(float64(len(a.subs))))
	tick := func(now time.Duration) time.Duration {
		next := s.meter.tick(now)
		for d := due(); d <= now && d < a.to; d = due() {
			r.speak(d)
			sent++
			if d >= a.from {
				s.published++
			}
		}
		r.progress.show(what, float64(now-start), float64(a.to-start))
		return min(due(), next)
	}
	stuck := func() bool { return r.speaker.failed != nil || a.joined == 0 }
	if _, err := l.run(ctx, warm+duration+time.Second, tick, func() bool { return s.meter.ended || stuck() }); err != nil {
		return s, err
	}
	all := func() bool { return stuck() || r.speaker.waiting() == 0 && a.missing(r.last) == 0 }
	if err := a.wait(ctx, all); err != nil {
		return s, err
	}
	s.delivered, s.latency = a.delivered, a.latency.latency()
	s.failed = append(a.faults.say(a.missing(r.last), uint64(r.seq-firstSeq)*uint64(len(a.subs))), blame(r.speaker)...)
	return s, nil
}

// last is the sequence of a channel's last message, for the room's only one.
func (r *room) last(uint32) uint32 { return r.seq }

// run is the step as a report has it.
func (s *step) run() Run {
	r := Run{Name: number(s.rate) + "/s", Latency: s.latency, Failed: s.failed}
	r.Figures.add("published", float64(s.published), "published", "")
	r.Figures.add("delivered", float64(s.delivered), "delivered", "")
	r.Figures.add("delivered_per_second", round(float64(s.delivered)/s.over.Seconds()), "delivered/s", "/s")
	s.meter.addTo(&r.Figures, s.delivered, "delivered", "delivery")
	return r
}
