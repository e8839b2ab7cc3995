package tenant_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 9.9
func TestConnectionLimit(t *testing.T) {
	w := open(t)
	w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{Connections: ptr(10)}})
	p := w.is(w.public.Text)
	var got atomic.Int64
	var mu sync.Mutex
	var releases []func()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			release, err := p.Connect()
			if err != nil {
				return
			}
			got.Add(1)
			mu.Lock()
			defer mu.Unlock()
			releases = append(releases, release)
		})
	}
	wg.Wait()
	if got.Load() != 10 {
		t.Fatalf("%d connections of 10 were let in", got.Load())
	}
	_, err := p.Connect()
	if e := want(t, err, protocol.CodeConnectionLimit); !strings.Contains(e.Message, "connections limit is 10") {
		t.Errorf("the message does not name the limit: %s", e.Message)
	}
	// The count outlives changes of the record, and a limit holds at once.
	w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{Connections: ptr(11)}})
	if _, err := p.Connect(); err != nil {
		t.Errorf("the eleventh: %v", err)
	}
	_, err = w.is(w.secret.Text).Connect()
	want(t, err, protocol.CodeConnectionLimit)
	releases[0]()
	releases[0]() // counts once
	if _, err := p.Connect(); err != nil {
		t.Errorf("after one left: %v", err)
	}
	_, err = p.Connect()
	want(t, err, protocol.CodeConnectionLimit)
	// Another app has a count of its own.
	if _, err := otherApp(w).Connect(); err != nil {
		t.Error(err)
	}
}

// otherApp is somebody of another app of the account.
func otherApp(w *world) *tenant.Principal {
	w.t.Helper()
	k, err := w.CreateKey(w.ctx(), w.account, w.newApp("other").ID, tenant.KeyInput{Kind: tenant.KindSecret, Name: "n"})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.is(k.Text)
}

// claims: 9.9
func TestPublishRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{PublishPerSecond: ptr(10)}})
		p, q := w.is(w.secret.Text), w.is(w.public.Text) // one app: one rate
		passed := func(p *tenant.Principal) (n int) {
			for p.AllowPublish(1) == nil {
				n++
			}
			return n
		}
		if n := passed(p); n != 10 {
			t.Errorf("%d passed at once, want one second's worth, 10", n)
		}
		e := want(t, q.AllowPublish(1), protocol.CodePublishRate)
		if !strings.Contains(e.Message, "publish_per_second limit of 10") || e.RetryAfter != 100*time.Millisecond {
			t.Errorf("got %q, retry after %s; want the limit's name and 100ms", e.Message, e.RetryAfter)
		}
		time.Sleep(e.RetryAfter)
		if n := passed(q); n != 1 {
			t.Errorf("%d passed after retry_after, want 1", n)
		}
		time.Sleep(500 * time.Millisecond)
		e = want(t, p.AllowPublish(6), protocol.CodePublishRate) // all or none
		if e.RetryAfter != 100*time.Millisecond {
			t.Errorf("retry after %s for 6 when 5 are free", e.RetryAfter)
		}
		if n := passed(p); n != 5 {
			t.Errorf("%d passed after half a second, want 5", n)
		}
		time.Sleep(time.Hour)
		if n := passed(p); n != 10 {
			t.Errorf("%d passed after an hour, want 10", n)
		}
		e = want(t, p.AllowPublish(11), protocol.CodePublishRate)
		if !strings.Contains(e.Message, "10") || !strings.Contains(e.Message, "split") || e.RetryAfter <= 0 {
			t.Errorf("a batch that can never pass: %v", e)
		}
		// A change holds at once, for those who are there already.
		w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{PublishPerSecond: ptr(1000)}})
		time.Sleep(time.Second)
		if n := passed(p); n != 1000 {
			t.Errorf("%d passed at the new rate, want 1000", n)
		}
		if err := otherApp(w).AllowPublish(1); err != nil {
			t.Errorf("another app: %v", err)
		}
		if err := p.AllowPublish(0); err != nil {
			t.Errorf("nothing to publish: %v", err)
		}
	})
}

// In any pattern of use, no window of time lets more pass than burst + rate.
func TestPublishRateHoldsInEveryPattern(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(1, 50).Draw(rt, "rate")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 50).Draw(rt, "pauses")
		batches := rapid.SliceOfN(rapid.IntRange(1, rate), len(pauses), len(pauses)).Draw(rt, "batches")
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			w := open(t)
			w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{PublishPerSecond: &rate}})
			p := w.is(w.secret.Text)
			start, sent, refused := time.Now(), 0, 0
			for i, n := range batches {
				time.Sleep(time.Duration(pauses[i]) * time.Millisecond)
				if p.AllowPublish(n) == nil {
					sent += n
				} else {
					refused += n
				}
				most := float64(rate) * (1 + time.Since(start).Seconds())
				if float64(sent) > most+0.001 || refused > 0 && float64(sent+refused) < float64(rate) {
					wrong = fmt.Sprintf("%d passed in %s and %d were refused; %.1f is the most", sent, time.Since(start), refused, most)
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// claims: 9.9
func TestSubscribeRateAndChannelLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tenant.NewMeter(tenant.Limits{ChannelsPerConnection: 20, SubscribePerSecond: 5})
		passed := func(m *tenant.Meter) (n int) {
			for m.AllowSubscribe() == nil {
				n++
			}
			return n
		}
		if n := passed(m); n != 20 {
			t.Errorf("%d subscribes passed at once, want all channels, 20", n)
		}
		e := want(t, m.AllowSubscribe(), protocol.CodeSubscribeRate)
		if !strings.Contains(e.Message, "subscribe_per_second limit of 5") || e.RetryAfter != 200*time.Millisecond {
			t.Errorf("got %q, retry after %s", e.Message, e.RetryAfter)
		}
		time.Sleep(time.Second)
		if n := passed(m); n != 5 {
			t.Errorf("%d subscribes passed in a second, want 5", n)
		}
		if n := passed(tenant.NewMeter(tenant.Limits{ChannelsPerConnection: 2, SubscribePerSecond: 5})); n != 5 {
			t.Errorf("%d subscribes passed at once, want the rate, 5", n)
		}
	})
	l := tenant.Limits{ChannelsPerConnection: 3}
	if err := l.AllowChannel(2); err != nil {
		t.Error(err)
	}
	if e := want(t, l.AllowChannel(3), protocol.CodeChannelLimit); !strings.Contains(e.Message, "channels_per_connection limit is 3") {
		t.Errorf("the message does not name the limit: %s", e.Message)
	}
}

// claims: 1.5
func TestMessageLimitHoldsAtOnce(t *testing.T) {
	w := open(t)
	p := w.is(w.public.Text)
	if p.MaxData() != 65_536 || p.Limits() != tenant.DefaultLimits() {
		t.Errorf("the limits are %+v", p.Limits())
	}
	w.patch(tenant.AppPatch{Limits: &tenant.LimitsPatch{MessageBytes: ptr(10)}})
	if p.MaxData() != 10 {
		t.Errorf("MaxData is %d, want 10", p.MaxData())
	}
}
