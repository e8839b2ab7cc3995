package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// QueueOptions is how a queue is made.
type QueueOptions struct {
	// Partitions is how many workers share the jobs, by lane: 1 to 64, default
	// 4. It must not grow smaller while jobs wait.
	Partitions int
	// Relaxed lets a power cut take what was pushed in the last second.
	// Without it a job is on the disk before Push or Later returns.
	Relaxed bool

	wait time.Duration // jobWait, except in tests
}

// Job is one thing to do. Jobs of one lane are given out in the order in which
// they were pushed, except those that were put off.
type Job struct {
	Lane    string // what it belongs to: 1 to 64 characters of A-Z a-z 0-9 _ -
	ID      string // unique in the lane; the same characters
	Attempt int    // how often it was tried before; 0 at first
	Body    []byte // at most MaxBody bytes
}

// Task is a job that was given out. Whoever gets it calls one of the three
// once. Until then it is given to nobody else, for as long as the worker runs
// and 30 s longer.
type Task struct {
	Job
	// Done takes the job away.
	Done func() error
	// Later puts j, with this task's lane and id, into the place of the job: it
	// comes again at that time or up to about a second later. It survives
	// restarts, and waiting jobs stand in nobody's way.
	Later func(ctx context.Context, at time.Time, j Job) error
	// Release gives the job back, to be given out again at once.
	Release func() error
}

// Queue is a list of jobs on the disk. A job that was acknowledged is given
// out until somebody is done with it: at least once, and twice where a process
// died in between. All methods may be called concurrently; it lives as long as
// its Bus.
type Queue struct {
	bus    *Bus
	name   string
	parts  int
	wait   time.Duration // after which the job of a dead worker is given out again
	nc     *nats.Conn    // its own: jobs have bodies, and nobody else's traffic waits for them
	js     jetstream.JetStream
	stream jetstream.Stream
	disk   *syncer // nil: relaxed
	once   sync.Once

	mu      sync.Mutex
	workers map[*worker]struct{}
}

const (
	jobWait = 30 * time.Second // a living worker says three times as often that it still has its jobs

	headerJob     = "Fanfare-Job"
	headerAttempt = "Fanfare-Attempt"

	// The message server's words for a message that is to be stored again, under
	// another subject, at a time.
	headerSchedule = "Nats-Schedule"
	headerTarget   = "Nats-Schedule-Target"
)

// Queue opens the queue of that name (A-Z a-z 0-9 _ -) and makes it where it
// is missing.
func (b *Bus) Queue(ctx context.Context, name string, o QueueOptions) (*Queue, error) {
	o.Partitions = cmp.Or(o.Partitions, 4)
	if !validApp(name) || o.Partitions < 1 || o.Partitions > 64 {
		return nil, fmt.Errorf("queue %q of %d partitions is not valid", name, o.Partitions)
	}
	q := &Queue{bus: b, name: name, parts: o.Partitions, wait: cmp.Or(o.wait, jobWait), workers: map[*worker]struct{}{}}
	_, err := b.begin(func() (reader, error) { return q, q.start(ctx) })
	if err != nil {
		return nil, classify("opening queue "+name, err)
	}
	if !o.Relaxed && b.cluster == nil {
		dir := b.folder.streamDir(q.streamName())
		if err := syncTree(dir); err != nil { // it may be new
			return nil, classify("opening queue "+name, err)
		}
		q.disk = newSyncer(dir)
	}
	return q, nil
}

func (q *Queue) streamName() string { return "Q_" + q.name }

// The subjects: q.<name>.r.<partition>.<lane> of jobs that are ready, and
// q.<name>.w.<partition>.<lane>.<id> of those that wait for their time.
func (q *Queue) ready(lane string) string {
	return "q." + q.name + ".r." + q.partition(lane) + "." + lane
}

func (q *Queue) waiting(lane, id string) string {
	return "q." + q.name + ".w." + q.partition(lane) + "." + lane + "." + id
}

func (q *Queue) partition(lane string) string {
	h := fnv.New32a()
	h.Write([]byte(lane))
	return strconv.Itoa(int(h.Sum32()) % q.parts)
}

func (q *Queue) start(ctx context.Context) (err error) {
	if q.nc, err = q.bus.dial("queue " + q.name); err != nil {
		return err
	}
	if err = q.open(ctx); err != nil {
		q.nc.Close()
	}
	return err
}

func (q *Queue) open(ctx context.Context) (err error) {
	if q.js, err = jetstream.New(q.nc, jetstream.WithDefaultTimeout(5*time.Second), jetstream.WithPublishAsyncMaxPending(4096)); err != nil {
		return err
	}
	q.stream, err = q.bus.openStream(ctx, q.js, jetstream.StreamConfig{
		Name:              q.streamName(),
		Subjects:          []string{"q." + q.name + ".>"},
		Retention:         jetstream.WorkQueuePolicy,
		Duplicates:        dedupWindow,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld, // which schedules demand; without limits nothing is
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		AllowRollup:       true,
		AllowMsgSchedules: true,
	})
	if err != nil {
		return err
	}
	if q.bus.cluster != nil {
		return nil // other nodes may be working
	}
	// What an earlier process was given and did not finish is given out at once,
	// not after jobWait: the folder is ours alone, so nobody works on it now.
	for n := range q.parts {
		if err := q.stream.DeleteConsumer(ctx, consumerName(n)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
	}
	return nil
}

func consumerName(partition int) string { return "p" + strconv.Itoa(partition) }

// Push adds jobs and returns when all are stored. After an error some may be;
// pushing the same ids again within two minutes adds them once.
func (q *Queue) Push(ctx context.Context, jobs ...Job) error {
	acks := make([]jetstream.PubAckFuture, len(jobs))
	for i, j := range jobs {
		m, err := q.message(j)
		if err != nil {
			return err
		}
		m.Subject = q.ready(j.Lane)
		m.Header.Set(jetstream.MsgIDHeader, j.Lane+"."+j.ID)
		if acks[i], err = q.js.PublishMsgAsync(m); err != nil {
			return q.wrap("pushing", err)
		}
	}
	late := time.NewTimer(publishTime)
	defer late.Stop()
	for _, a := range acks {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return q.wrap("pushing", err)
		case <-late.C:
			return q.wrap("pushing", ErrUnavailable)
		case <-ctx.Done():
			return q.wrap("pushing", ctx.Err())
		}
	}
	return q.settle()
}

// message is j without its subject.
func (q *Queue) message(j Job) (*nats.Msg, error) {
	if !validApp(j.Lane) || !validApp(j.ID) {
		return nil, fmt.Errorf("queue %s: job %q in lane %q is not valid", q.name, j.ID, j.Lane)
	}
	if len(j.Body) > MaxBody {
		return nil, fmt.Errorf("queue %s: the job has %d bytes, %d is the most", q.name, len(j.Body), MaxBody)
	}
	if err := q.bus.checkSpace(len(j.Body)); err != nil {
		return nil, q.wrap("pushing", err)
	}
	m := &nats.Msg{Data: j.Body, Header: nats.Header{}}
	m.Header.Set(headerJob, j.ID)
	if j.Attempt > 0 {
		m.Header.Set(headerAttempt, strconv.Itoa(j.Attempt))
	}
	return m, nil
}

// later stores j to become ready at a time. A job waits once, however often it
// is put off.
func (q *Queue) later(ctx context.Context, at time.Time, j Job) error {
	m, err := q.message(j)
	if err != nil {
		return err
	}
	m.Subject = q.waiting(j.Lane, j.ID)
	m.Header.Set(headerSchedule, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(headerTarget, q.ready(j.Lane))
	if _, err := q.js.PublishMsg(ctx, m); err != nil {
		return q.wrap("putting off", err)
	}
	return q.settle()
}

func (q *Queue) settle() error {
	if q.disk == nil {
		return nil
	}
	return q.wrap("writing to the disk", q.disk.sync())
}

func (q *Queue) wrap(what string, err error) error {
	return classify("queue "+q.name+": "+what, err)
}

// Waiting counts the jobs of each lane, ready, given out and put off. It looks
// at all of them: for a start, not for every day.
func (q *Queue) Waiting(ctx context.Context) (map[string]int, error) {
	var info *jetstream.StreamInfo
	err := q.bus.patiently(ctx, func(ctx context.Context) (err error) {
		info, err = q.stream.Info(ctx, jetstream.WithSubjectFilter("q."+q.name+".>"))
		return err
	})
	if err != nil {
		return nil, q.wrap("counting", err)
	}
	out := map[string]int{}
	for subject, n := range info.State.Subjects {
		if parts := strings.Split(subject, "."); len(parts) >= 5 {
			out[parts[4]] += int(n)
		}
	}
	return out, nil
}

// Drop takes away all jobs of a lane. One that is given out just now may still
// be put off.
func (q *Queue) Drop(ctx context.Context, lane string) error {
	if !validApp(lane) {
		return fmt.Errorf("queue %s: lane %q is not valid", q.name, lane)
	}
	for _, subject := range []string{q.ready(lane), q.waiting(lane, ">")} {
		if err := q.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return q.wrap("dropping a lane", err)
		}
	}
	return nil
}

// Work gives jobs to fn, from one goroutine for each partition. fn must not
// block: while it does, its partition stands still. stop ends it and returns
// when fn is not running any more; tasks that are still out are then their
// holders' to finish. It must not be called from fn. Close of the bus stops it
// too.
func (q *Queue) Work(fn func(*Task)) (stop func(), err error) {
	w := &worker{queue: q, fn: fn, out: map[jetstream.Msg]struct{}{}, quit: make(chan struct{})}
	limit := startLimit
	if q.bus.cluster != nil {
		limit = time.Minute // there may be no leader just now
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for n := range q.parts {
		if err := w.begin(ctx, n); err != nil {
			w.stop()
			return nil, q.wrap("starting to work", err)
		}
	}
	w.running.Go(w.alive)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.workers[w] = struct{}{}
	return w.stop, nil
}

func (q *Queue) dropped() uint64 { return 0 } // a queue is on the disk

// stop is called by Close of the bus.
func (q *Queue) stop() {
	q.once.Do(func() {
		q.mu.Lock()
		workers := q.workers
		q.workers = nil
		q.mu.Unlock()
		for w := range workers {
			w.stop()
		}
		q.nc.Close()
	})
}
