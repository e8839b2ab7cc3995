package bench

import (
	"context"
	"fmt"
	"os"
	"time"
)

// room is one channel with its subscribers and the connection that publishes
// on it, for the benchmarks of fan-out.
type room struct {
	con      *Console
	target   *target
	audience *audience
	speaker  *publisher
	progress *progress
	size     int
	seq      uint32 // of the last message
	data     []byte // scratch
}

// openRoom fills a room with n subscribers.
func openRoom(ctx context.Context, con *Console, t *target, l *loop, p *progress, n, size int) (*room, error) {
	r := &room{con: con, target: t, progress: p, size: size, audience: newAudience(l, t)}
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
	r.speaker.send(r.target.wire.publish([]message{{r.audience.channelName(0), r.data}}), due)
}

// step is what a room measured at one rate.
type step struct {
	rate          float64 // messages a second
	over          time.Duration
	published     uint64
	delivered     uint64
	before, after usage
	own           time.Duration // CPU of this process
	usable        bool          // before and after were read
	latency       *Latency
	failed        []string
}

// hold publishes at a rate, first for warm and then for as long as is
// measured, and waits for what is still on its way.
func (r *room) hold(ctx context.Context, rate float64, warm, duration time.Duration) (step, error) {
	a, l := r.audience, r.audience.loop
	s := step{rate: rate, over: duration}
	a.faults, a.delivered = faults{}, 0
	a.latency.reset()
	start := l.now() + 10*time.Millisecond
	a.from, a.to = start+warm, start+warm+duration
	firstSeq, sent := r.seq, 0
	due := func() time.Duration { return start + time.Duration(float64(sent)*float64(time.Second)/rate) }
	what := fmt.Sprintf("%s messages/s to %s subscribers", number(rate), number(float64(len(a.subs))))
	var own0, own1 usage
	started, ended := false, false
	tick := func(now time.Duration) time.Duration {
		if !started && now >= a.from {
			started = true
			s.before, own0 = r.readUsage()
		}
		for d := due(); d <= now && d < a.to; d = due() {
			r.speak(d)
			sent++
			if d >= a.from {
				s.published++
			}
		}
		if !ended && now >= a.to {
			ended = true
			s.after, own1 = r.readUsage()
		}
		r.progress.show(what, float64(now-start), float64(a.to-start))
		// Never later than the ends of what is measured.
		next := min(due(), a.to)
		if !started {
			next = min(next, a.from)
		}
		return next
	}
	stuck := func() bool { return r.speaker.failed != nil || a.joined == 0 }
	if _, err := l.run(ctx, warm+duration+time.Second, tick, func() bool { return ended || stuck() }); err != nil {
		return s, err
	}
	// What is late is waited for, as long as something still comes.
	last := func(uint32) uint32 { return r.seq }
	a.heard = l.now()
	_, err := l.run(ctx, 20*time.Second, nil, func() bool {
		return r.speaker.waiting() == 0 && a.missing(last) == 0 || stuck() || l.now()-a.heard > lateness
	})
	if err != nil {
		return s, err
	}
	s.delivered, s.latency, s.own = a.delivered, a.latency.latency(), own1.cpu-own0.cpu
	s.usable = len(r.target.PID) > 0 && ended
	s.failed = r.blame(uint64(r.seq - firstSeq))
	return s, nil
}

// lateness is for how long nothing may come before what is missing is lost.
const lateness = 3 * time.Second

func (r *room) readUsage() (server, own usage) {
	server, _ = readUsage(r.target.PID) // a server that died is told by its connections
	own, _ = readUsage([]int{os.Getpid()})
	return server, own
}

// blame says what went wrong since the last step, of n messages.
func (r *room) blame(n uint64) []string {
	a := r.audience
	why := a.faults.say(a.missing(func(uint32) uint32 { return r.seq }), n*uint64(len(a.subs)))
	if r.speaker.failed != nil {
		why = append(why, fmt.Sprintf("the publisher: %v", r.speaker.failed))
	} else if n := r.speaker.waiting(); n > 0 {
		why = append(why, fmt.Sprintf("%d publishes were never answered", n))
	}
	return why
}

// run is the step as a report has it.
func (s *step) run() Run {
	r := Run{Name: number(s.rate) + "/s", Latency: s.latency, Failed: s.failed}
	r.Figures.add("published", float64(s.published), "published", "")
	r.Figures.add("delivered", float64(s.delivered), "delivered", "")
	r.Figures.add("delivered_per_second", round(float64(s.delivered)/s.over.Seconds()), "delivered/s", "/s")
	if s.usable {
		r.Figures.addUsage(s.before, s.after, s.over, s.delivered, "delivered", "delivery")
	}
	r.Figures.add("bench_cpu_percent", round(100*s.own.Seconds()/s.over.Seconds()), "bench's own CPU of one core", "%")
	return r
}
