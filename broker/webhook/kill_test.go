package webhook_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/webhook"
)

// emitUntilKilled is the process that dies: it puts events into the queue and
// tells of each that is in it.
func emitUntilKilled(dir string) {
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	b, err := bus.Open(ctx, bus.Options{Dir: dir})
	fail(err)
	k, err := b.Bucket(ctx, "webhooks", bus.BucketOptions{})
	fail(err)
	q, err := b.Queue(ctx, "webhooks", bus.QueueOptions{})
	fail(err)
	j, err := b.Journal(ctx, "webhooks", bus.JournalOptions{Entries: 1})
	fail(err)
	w, err := webhook.New(ctx, webhook.Options{Records: k, Queue: &telling{q}, Log: j, MasterKey: [32]byte{7}, AllowPrivate: true, Logger: slog.New(slog.DiscardHandler)})
	fail(err)
	go func() { fail(w.Run(ctx)) }()
	for i := 0; ; i++ {
		w.Emit("app1", occupied(i))
		<-time.After(200 * time.Microsecond)
	}
}

// telling is a queue that prints what it has stored.
type telling struct{ *bus.Queue }

func (q *telling) Push(ctx context.Context, jobs ...bus.Job) error {
	err := q.Queue.Push(ctx, jobs...)
	for _, j := range jobs {
		if err == nil {
			fmt.Println("queued", j.ID)
		}
	}
	return err
}

// TestKilledProcessLosesNothingQueued kills a server with events in its queue,
// some of them on their way to a receiver that hangs, and starts another one.
func TestKilledProcessLosesNothingQueued(t *testing.T) {
	dir, hang := t.TempDir(), make(chan struct{})
	r := receive(t, func(http.ResponseWriter, int) { <-hang })
	w := openRoom(t, dir)
	h := w.create("app1", r.URL)
	w.close()

	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), "TEST_WEBHOOK_DIR="+dir)
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	must(t, err)
	must(t, victim.Start())
	queued := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "queued "); ok {
			queued[id] = true
		}
		if len(queued) == 300 {
			must(t, victim.Process.Kill())
		}
	}
	_ = victim.Wait() // it was killed
	if len(queued) < 300 {
		t.Fatalf("the process died by itself after %d events", len(queued))
	}
	close(hang)
	began := time.Now()
	w = start(t, dir)
	eventually(t, "all that was queued comes", func() bool {
		for len(r.got) > 0 {
			delete(queued, (<-r.got).id())
		}
		return len(queued) == 0
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("that took %v", took)
	}
	eventually(t, "nothing waits", func() bool { return w.one("app1", h.ID).Waiting == 0 })
}
