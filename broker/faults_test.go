package broker_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const keepMuch = `[{"namespace":"much","history":{"messages":10000,"age":3600}},{"namespace":"none","ephemeral":true}]`

// sent is a publish that was answered, or the one that was not.
type sent struct {
	channel, id string
	position    protocol.Position
}

// tryPublish publishes and says whether that was answered with 200.
func tryPublish(s *brokertest.Server, channel, id, data string) (protocol.Published, bool) {
	return publishWith(http.DefaultClient, s, channel, id, data)
}

func publishWith(client *http.Client, s *brokertest.Server, channel, id, data string) (protocol.Published, bool) {
	var p protocol.Published
	body := fmt.Sprintf(`{"channel":%q,"id":%q,"data":%s}`, channel, id, data)
	r, err := http.NewRequest(http.MethodPost, s.URL+"/v1/messages", strings.NewReader(body))
	if err != nil {
		return p, false
	}
	r.Header.Set("Authorization", "Bearer "+s.SecretKey)
	resp, err := client.Do(r)
	if err != nil {
		return p, false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return p, err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(b, &p) == nil
}

// TestKilledWhilePublishing kills a node in the middle of what eight
// publishers send to four channels, and starts it again on its folder.
//
// claims: 3.3 3.11 4.2 4.6 7.7 9.12
func TestKilledWhilePublishing(t *testing.T) {
	const publishers, enough = 8, 5000
	dir := t.TempDir()
	p := startProcess(t, dir)
	setRules(t, p.Server, keepMuch)
	channels := []string{"much:0", "much:1", "much:2", "much:3"}
	ws, sse := newTail(t, channels...), newTail(t, channels...)
	ws.overWS(p.Server)
	sse.overSSE(p.Server)

	var acknowledged atomic.Int64
	halt := make(chan struct{})
	acks, open := make([][]sent, publishers), make([]sent, publishers)
	var all sync.WaitGroup
	began := time.Now()
	for i := range publishers {
		all.Go(func() {
			for n := 0; ; n++ {
				m := sent{channel: channels[(i+n)%len(channels)], id: fmt.Sprintf("%d.%d", i, n)}
				answer, ok := tryPublish(p.Server, m.channel, m.id, "1")
				if !ok {
					open[i] = m
					return
				}
				m.position = answer.Position
				acks[i] = append(acks[i], m)
				if acknowledged.Add(1) == enough {
					close(halt)
				}
			}
		})
	}
	select {
	case <-halt:
	case <-time.After(5 * time.Minute):
		t.Fatalf("only %d publishes were answered", acknowledged.Load())
	}
	took := time.Since(began)
	p.kill()
	all.Wait()
	<-ws.down
	<-sse.down
	t.Logf("%d publishes before the kill, %.0f a second; the clients had %d and %d messages", acknowledged.Load(), enough/took.Seconds(), ws.count(), sse.count())

	began = time.Now()
	p = startProcess(t, dir)
	t.Logf("started again in %v", time.Since(began).Round(time.Millisecond))
	for i := range open { // what was not answered is tried again: nothing comes twice
		answer, ok := tryPublish(p.Server, open[i].channel, open[i].id, "1")
		if !ok {
			t.Fatalf("a publish after the restart failed: %s", p.log)
		}
		open[i].position = answer.Position
		acks[i] = append(acks[i], open[i])
	}
	total := allThere(t, p.Server, channels, acks)

	ws.overWS(p.Server)
	sse.overSSE(p.Server)
	for _, c := range []*tail{ws, sse} {
		if !c.recovered() {
			t.Errorf("not recovered: %+v", c.told)
		}
	}
	kept := map[string][]frame{}
	for _, ch := range channels {
		publish(t, p.Server, ch, `"last"`)
		kept[ch] = history(t, p.Server, ch)
		rising(t, "history of "+ch+" after more", kept[ch])
	}
	for name, c := range map[string]*tail{"ws": ws, "sse": sse} {
		eventually(t, "all has come over "+name, func() bool { return c.count() >= total+len(channels) })
		for _, ch := range channels {
			if got, want := idsOf(c.of(ch)), idsOf(kept[ch]); !slices.Equal(got, want) {
				t.Errorf("%s got %d messages of %s, of %d, or in another order", name, len(got), ch, len(want))
			}
		}
	}
}

// allThere fails unless the channels' histories are in order and hold exactly
// what was acknowledged, where it was. It returns how many that is.
func allThere(t *testing.T, s *brokertest.Server, channels []string, acks [][]sent) (total int) {
	t.Helper()
	where := map[string]protocol.Position{}
	for _, ch := range channels {
		kept := history(t, s, ch)
		rising(t, "history of "+ch, kept)
		for _, f := range kept {
			if where[f.ID] != "" {
				t.Errorf("%s is there twice, at %s and %s", f.ID, where[f.ID], *f.Position)
			}
			where[f.ID] = *f.Position
		}
		total += len(kept)
	}
	for i := range acks {
		for _, m := range acks[i] {
			if where[m.id] != m.position {
				t.Errorf("%s was acknowledged at %q and is at %q", m.id, m.position, where[m.id])
			}
			delete(where, m.id)
		}
	}
	if len(where) > 0 {
		t.Errorf("%d messages are there that nobody sent", len(where))
	}
	return total
}

// TestThousandComeBack drops a thousand clients at once that all miss the same
// hundred messages.
//
// claims: 3.3
func TestThousandComeBack(t *testing.T) {
	const clients, missed = 1000, 100
	s := brokertest.Start(t)
	setRules(t, s, keepMuch)
	all := make([]*tail, clients)
	var group sync.WaitGroup
	for i := range all {
		all[i] = newTail(t, "much:1")
	}
	each := func(f func(*tail)) {
		slots := make(chan struct{}, 100) // the listener's backlog is no part of this test
		for _, c := range all {
			slots <- struct{}{}
			group.Go(func() { defer func() { <-slots }(); f(c) })
		}
		group.Wait()
	}
	each(func(c *tail) { c.overWS(s) })
	publish(t, s, "much:1", `"first"`)
	each(func(c *tail) {
		eventually(t, "the first message comes", func() bool { return c.count() == 1 })
		c.drop()
	})
	for range missed {
		publish(t, s, "much:1", `"missed"`)
	}
	want := idsOf(history(t, s, "much:1"))
	took := make([]time.Duration, clients)
	began := time.Now()
	var n atomic.Int64
	each(func(c *tail) {
		from := time.Now()
		c.overWS(s)
		eventually(t, "all that was missed comes", func() bool { return c.count() >= 1+missed })
		took[n.Add(1)-1] = time.Since(from)
	})
	slices.Sort(took)
	t.Logf("%d clients were back with %d messages each after %v; one took %v (p50), %v (p99)", clients, missed,
		time.Since(began).Round(time.Millisecond), took[clients/2].Round(time.Millisecond), took[clients*99/100].Round(time.Millisecond))
	for i, c := range all {
		if got := idsOf(c.of("much:1")); !slices.Equal(got, want) || !c.recovered() {
			t.Fatalf("client %d got %d messages instead of %d, or in another order; recovered %v", i, len(got), len(want), c.recovered())
		}
	}
}
