package bus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/bus"
)

func queue(t *testing.T, b *bus.Bus) *bus.Queue {
	t.Helper()
	q, err := b.Queue(t.Context(), "work", bus.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// take works on q until n tasks have come, and returns them. They are still
// out.
func take(t *testing.T, q *bus.Queue, n int) []*bus.Task {
	t.Helper()
	got := make(chan *bus.Task, 1000)
	stop, err := q.Work(func(x *bus.Task) { got <- x })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	return receive(t, got, n)
}

func receive(t *testing.T, got chan *bus.Task, n int) (tasks []*bus.Task) {
	t.Helper()
	late := time.After(20 * time.Second)
	for len(tasks) < n {
		select {
		case x := <-got:
			tasks = append(tasks, x)
		case <-late:
			t.Fatalf("%d tasks came instead of %d", len(tasks), n)
		}
	}
	return tasks
}

func counted(t *testing.T, q *bus.Queue, want map[string]int) {
	t.Helper()
	var got map[string]int
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) { // an acknowledgement is a moment on its way
		var err error
		if got, err = q.Waiting(t.Context()); err != nil {
			t.Fatal(err)
		}
		if maps.Equal(got, want) {
			return
		}
	}
	t.Fatalf("waiting are %v, want %v", got, want)
}

func TestQueueGivesEachJobToOneInOrder(t *testing.T) {
	q := queue(t, open(t, t.TempDir()))
	var jobs []bus.Job
	for i := range 100 {
		jobs = append(jobs, bus.Job{Lane: fmt.Sprint("lane", i%5), ID: fmt.Sprint("j", i), Body: fmt.Append(nil, i)})
	}
	if err := q.Push(t.Context(), jobs...); err != nil {
		t.Fatal(err)
	}
	if err := q.Push(t.Context(), jobs[:50]...); err != nil { // the same again
		t.Fatal(err)
	}
	counted(t, q, map[string]int{"lane0": 20, "lane1": 20, "lane2": 20, "lane3": 20, "lane4": 20})
	lanes := map[string][]string{}
	for _, x := range take(t, q, 100) {
		lanes[x.Lane] = append(lanes[x.Lane], x.ID+"="+string(x.Body))
		if err := x.Done(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]string{}
	for i, j := range jobs {
		want[j.Lane] = append(want[j.Lane], fmt.Sprintf("j%d=%d", i, i))
	}
	if d := cmp.Diff(want, lanes); d != "" {
		t.Error(d)
	}
	counted(t, q, map[string]int{})
}

func TestQueuePutsOffAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	q := queue(t, b)
	if err := q.Push(t.Context(), bus.Job{Lane: "a", ID: "1", Body: []byte("x")}, bus.Job{Lane: "a", ID: "2", Body: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	tasks := take(t, q, 2)
	at := time.Now().Add(1500 * time.Millisecond)
	if err := tasks[0].Later(t.Context(), at, bus.Job{Attempt: 3, Body: []byte("changed")}); err != nil {
		t.Fatal(err)
	}
	if err := tasks[1].Release(); err != nil {
		t.Fatal(err)
	}
	counted(t, q, map[string]int{"a": 2})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	q = queue(t, open(t, dir))
	again := take(t, q, 2)
	if again[0].ID != tasks[1].ID || again[1].ID != tasks[0].ID {
		t.Fatalf("came %s and %s; want the one that was given back before the one that was put off", again[0].ID, again[1].ID)
	}
	late := time.Since(at)
	if late < 0 || late > 5*time.Second {
		t.Errorf("it came %v after its time", late)
	}
	if again[1].Attempt != 3 || string(again[1].Body) != "changed" || again[1].Lane != "a" {
		t.Errorf("it came as %+v", again[1].Job)
	}
	for _, x := range again {
		if err := x.Done(); err != nil {
			t.Fatal(err)
		}
	}
	counted(t, q, map[string]int{})
}

// What was fetched ahead when the work was stopped is there for the next one
// at once; what was put off does not hold up what is ready.
func TestQueueWorkStopsAndGoesOn(t *testing.T) {
	q := queue(t, open(t, t.TempDir()))
	var jobs []bus.Job
	for i := range 30 {
		jobs = append(jobs, bus.Job{Lane: "one", ID: fmt.Sprint(i)})
	}
	if err := q.Push(t.Context(), jobs...); err != nil {
		t.Fatal(err)
	}
	block, first := make(chan struct{}), make(chan *bus.Task, 100)
	stop, err := q.Work(func(x *bus.Task) { first <- x; <-block })
	if err != nil {
		t.Fatal(err)
	}
	one := receive(t, first, 1)[0]
	var stopped sync.WaitGroup
	stopped.Go(stop)
	close(block)
	stopped.Wait()
	stop() // again does nothing
	held := map[string]bool{one.ID: true}
	for len(first) > 0 {
		held[(<-first).ID] = true
	}
	begin := time.Now()
	for _, x := range take(t, q, 30-len(held)) {
		if held[x.ID] {
			t.Errorf("%s was given to two", x.ID)
		}
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the rest came after %v only", took)
	}
}

func TestQueueDropsALane(t *testing.T) {
	q := queue(t, open(t, t.TempDir()))
	for _, lane := range []string{"a", "b"} {
		for _, id := range []string{"1", "2"} {
			if err := q.Push(t.Context(), bus.Job{Lane: lane, ID: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range take(t, q, 4) {
		if x.ID == "2" {
			if err := x.Later(t.Context(), time.Now().Add(time.Hour), x.Job); err != nil {
				t.Fatal(err)
			}
		} else if err := x.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Drop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	counted(t, q, map[string]int{"b": 2})
}

func TestQueueRefusesWhatWouldBreakItsSubjects(t *testing.T) {
	b := open(t, t.TempDir())
	q := queue(t, b)
	for _, j := range []bus.Job{{Lane: "a.b", ID: "1"}, {Lane: "*", ID: "1"}, {Lane: "a", ID: ">"}, {Lane: "a", ID: ""}, {Lane: "", ID: "1"}, {Lane: "a", ID: "1", Body: make([]byte, bus.MaxBody+1)}} {
		if err := q.Push(t.Context(), j); err == nil {
			t.Errorf("job %q in lane %q was taken", j.ID, j.Lane)
		}
	}
	if err := q.Drop(t.Context(), "*"); err == nil {
		t.Error("all lanes were dropped at once")
	}
	for _, o := range []bus.QueueOptions{{Partitions: 65}, {Partitions: -1}} {
		if _, err := b.Queue(t.Context(), "x", o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.Push(t.Context(), bus.Job{Lane: "a", ID: "1"}); err == nil {
		t.Error("a closed queue takes jobs")
	}
	if _, err := b.Queue(t.Context(), "y", bus.QueueOptions{}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("a closed bus opens queues: %v", err)
	}
}

func TestQueueSaysThatTheDiskIsFull(t *testing.T) {
	free := uint64(bus.DiskReserve + 1<<28)
	b, err := bus.OpenWithFree(context.Background(), bus.Options{Dir: t.TempDir()}, func(string) (uint64, error) { return free, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	q := queue(t, b)
	free = bus.DiskReserve
	if err := q.Push(t.Context(), bus.Job{Lane: "a", ID: "1", Body: make([]byte, 1<<20)}); !errors.Is(err, bus.ErrDiskFull) {
		t.Errorf("pushing onto a full disk: %v", err)
	}
}

func TestJournalKeepsTheLastOfEachKey(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	read := func(j *bus.Journal, key string) (vals []string) {
		t.Helper()
		rs, err := j.Last(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			vals = append(vals, string(r.Value))
		}
		return vals
	}
	journal := func() *bus.Journal {
		t.Helper()
		j, err := b.Journal(t.Context(), "log", bus.JournalOptions{Entries: 3, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := journal()
	if got := read(j, "a"); got != nil {
		t.Errorf("an empty journal has %q", got)
	}
	var seq uint64
	for i := range 5 {
		for _, key := range []string{"a", "b"} {
			var err error
			if seq, err = j.Append(t.Context(), key, fmt.Append(nil, key, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := read(j, "a"); !slices.Equal(got, []string{"a4", "a3", "a2"}) {
		t.Errorf("a has %q", got)
	}
	if r, err := j.Get(t.Context(), "b", seq); err != nil || string(r.Value) != "b4" || time.Since(r.Time) > time.Minute {
		t.Errorf("the last one is %+v, %v", r, err)
	}
	for key, seq := range map[string]uint64{"a": seq, "b": 1, "c": 99} { // another key's, pushed out, never there
		if _, err := j.Get(t.Context(), key, seq); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("%s %d: %v", key, seq, err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	j = journal()
	if err := j.Drop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if a, b := read(j, "a"), read(j, "b"); a != nil || len(b) != 3 {
		t.Errorf("after dropping a: %q and %q", a, b)
	}
	if _, err := j.Append(t.Context(), "a.*", nil); err == nil {
		t.Error("a key with a wildcard was taken")
	}
}

// A task that is out for long stays its holder's; when its worker has stopped,
// somebody else gets it.
func TestQueueTasksStayWithTheLiving(t *testing.T) {
	b := open(t, t.TempDir())
	q, err := b.Queue(t.Context(), "work", bus.QuickQueue(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *bus.Task, 10)
	stop, err := q.Work(func(x *bus.Task) { got <- x })
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Push(t.Context(), bus.Job{Lane: "a", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	receive(t, got, 1)
	select {
	case x := <-got:
		t.Fatalf("%s was given out twice", x.ID)
	case <-time.After(4 * time.Second):
	}
	stop()
	take(t, q, 1)
}
