package fanfare_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
)

// claims: 5.3
func TestSilentStreamIsDead(t *testing.T) {
	for interval, limit := range map[int]time.Duration{0: 25 * time.Second, 15: 25 * time.Second, 40: 50 * time.Second} {
		t.Run(fmt.Sprint(interval), inBubble(func(t *testing.T) {
			f := newFake()
			_, k := subscribed(t, f)
			k.write(fmt.Sprintf("event: welcome\ndata: {\"type\":\"welcome\",\"ping_interval\":%d}\n\n", interval))
			for range 10 { // comments keep it alive
				time.Sleep(limit - time.Second)
				k.write(":\n\n")
			}
			last := time.Now()
			k = f.next(t)
			if took := k.at.Sub(last); took < limit || took > limit+time.Second {
				t.Errorf("took the stream for dead after %v, want %v", took, limit)
			}
			k.open()
		}))
	}
}

// A reader that does not read blocks its own stream, with a bounded number of
// messages waiting, and is not taken for a silent server.
func TestSlowReaderBlocksOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		sub, k := subscribed(t, f)
		const all = 1000
		written := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range all {
				k.message(fmt.Sprint(i), "")
				written = i + 1
			}
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if written < 256 || written > 256+64 {
			t.Errorf("%d messages were taken in", written)
		}
		for i, id := range take(t, sub, all) {
			if id != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, id)
			}
		}
		<-done
		k.message("last", "")
		if got := take(t, sub, 1); got[0] != "last" {
			t.Errorf("got %v", got)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("ends the range without an error", inBubble(func(t *testing.T) {
		sub, k := subscribed(t, newFake())
		k.message("1", "")
		k.message("2", "")
		var ids []string
		for m, err := range sub.All() {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, m.ID)
			sub.Close()
		}
		if diff := cmp.Diff([]string{"1"}, ids); diff != "" {
			t.Error(diff)
		}
		sub.Close()
		if err := end(t, sub); err != nil {
			t.Errorf("a later range ended with %v", err)
		}
	}))
	t.Run("from another goroutine", inBubble(func(t *testing.T) {
		sub, _ := subscribed(t, newFake())
		time.AfterFunc(time.Second, sub.Close)
		if err := end(t, sub); err != nil {
			t.Error(err)
		}
	}))
	t.Run("while the queue is full", inBubble(func(t *testing.T) {
		sub, k := subscribed(t, newFake())
		go func() {
			for {
				if _, err := k.w.Write([]byte("data: {}\n\n")); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		sub.Close()
		if err := end(t, sub); err != nil {
			t.Error(err)
		}
	}))
	t.Run("while it waits to come back", inBubble(func(t *testing.T) {
		f := newFake()
		sub, k := subscribed(t, f)
		_ = k.w.Close()
		synctest.Wait()
		start := time.Now()
		sub.Close()
		if time.Since(start) != 0 {
			t.Errorf("Close took %v", time.Since(start))
		}
		f.none(t)
	}))
}

// The context is the subscription's life.
func TestContextEndsTheSubscription(t *testing.T) {
	errWhy := errors.New("enough")
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		ctx, cancel := context.WithCancelCause(t.Context())
		c := newClient(t, "http://h", publishableKey, fanfare.WithHTTPClient(&http.Client{Transport: f}))
		go func() { f.next(t).open() }()
		sub, err := c.Subscribe(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		cancel(errWhy)
		if err := end(t, sub); !errors.Is(err, errWhy) {
			t.Errorf("ended with %v", err)
		}
		f.none(t)
		if _, err := c.Subscribe(ctx, "a"); !errors.Is(err, errWhy) {
			t.Errorf("got %v", err)
		}
	})
}
