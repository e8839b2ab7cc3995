package fanfare_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// deaf loses the answers to its first requests.
type deaf struct{ left atomic.Int32 }

// RoundTrip is part of http.RoundTripper.
func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && d.left.Add(-1) >= 0 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the answer is lost")
	}
	return resp, err
}

// keptOf is the data of all that a channel keeps.
func keptOf(t *testing.T, c *fanfare.Client, ch string, o fanfare.HistoryOptions) (got []string, positions []protocol.Position) {
	t.Helper()
	for m, err := range c.History(t.Context(), ch, o) {
		if err != nil {
			t.Fatal(err)
		}
		got, positions = append(got, string(m.Data)), append(positions, m.Position)
	}
	return got, positions
}

// A publish whose answer was lost is tried again and is there once.
//
// claims: 3.11 3.12
func TestBrokerPublishOnce(t *testing.T) {
	s := brokertest.Start(t)
	d := &deaf{}
	c := newClient(t, s.URL, s.SecretKey, fanfare.WithHTTPClient(&http.Client{Transport: d}))
	d.left.Store(2)
	first, err := c.Publish(t.Context(), "a", 1)
	if err != nil || !first.Duplicate || first.Position == "" {
		t.Fatalf("got %+v, %v", first, err)
	}
	d.left.Store(1)
	all, err := c.PublishAll(t.Context(), fanfare.Message{Channel: "a", Data: 2}, fanfare.Message{Channel: "a", Data: 3})
	if err != nil {
		t.Fatal(err)
	}
	d.left.Store(1)
	last, err := c.Publish(t.Context(), "a", 4, fanfare.IfPosition(all[1].Position)) // its condition is stale at the second try
	if err != nil {
		t.Fatal(err)
	}
	got, positions := keptOf(t, c, "a", fanfare.HistoryOptions{})
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]protocol.Position{first.Position, all[0].Position, all[1].Position, last.Position}, positions); diff != "" {
		t.Error(diff)
	}
	_, err = c.Publish(t.Context(), "a", 5, fanfare.IfPosition(first.Position))
	if e := wantCode(t, err, protocol.CodePositionConflict); e.Position == nil || *e.Position != last.Position {
		t.Errorf("the conflict tells %v, not %s", e.Position, last.Position)
	}
	if _, err := c.Publish(t.Context(), "new", 1, fanfare.IfPosition("")); err != nil {
		t.Error(err)
	}
	_, err = c.Publish(t.Context(), "new", 2, fanfare.IfPosition(""))
	wantCode(t, err, protocol.CodePositionConflict)
}

// claims: 9.12
func TestBrokerHistory(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, `[{"namespace":"much","history":{"messages":10000,"age":3600}}]`)
	c := newClient(t, s.URL, s.SecretKey)
	const n = 2345
	msgs, want := make([]fanfare.Message, n), make([]string, n)
	for i := range msgs {
		msgs[i], want[i] = fanfare.Message{Channel: "much:1", Data: i}, fmt.Sprint(i)
	}
	if _, err := c.PublishAll(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	all, positions := keptOf(t, c, "much:1", fanfare.HistoryOptions{})
	if diff := cmp.Diff(want, all); diff != "" {
		t.Fatal(diff)
	}
	for _, tt := range []struct {
		o    fanfare.HistoryOptions
		want []string
	}{
		{fanfare.HistoryOptions{Limit: 1500}, want[:1500]},
		{fanfare.HistoryOptions{Limit: 3, Newest: true}, want[n-3:]},
		{fanfare.HistoryOptions{After: positions[99], Before: positions[103]}, want[100:103]},
		{fanfare.HistoryOptions{After: positions[99], Until: positions[103], Limit: 2}, want[100:102]},
	} {
		if got, _ := keptOf(t, c, "much:1", tt.o); !cmp.Equal(tt.want, got) {
			t.Errorf("%+v: got %d messages, %s", tt.o, len(got), cmp.Diff(tt.want, got))
		}
	}
	for m, err := range c.History(t.Context(), "much:1", fanfare.HistoryOptions{}) {
		if err != nil || string(m.Data) != "0" {
			t.Errorf("got %+v, %v", m, err)
		}
		break // the rest is not asked for
	}
	var gaps []string
	keptOf(t, c, "much:1", fanfare.HistoryOptions{After: "another:1", OnGap: func(reason string) { gaps = append(gaps, reason) }})
	if diff := cmp.Diff([]string{"epoch"}, gaps); diff != "" {
		t.Error(diff)
	}
	for _, o := range []fanfare.HistoryOptions{{Limit: -1}, {Newest: true}, {After: "nonsense"}} {
		for _, err := range c.History(t.Context(), "much:1", o) {
			if err == nil {
				t.Errorf("%+v is taken", o)
			}
		}
	}
	for _, err := range newClient(t, s.URL, s.PublishableKey).History(t.Context(), "much:1", fanfare.HistoryOptions{}) {
		wantCode(t, err, protocol.CodeNotGranted)
	}
}

// claims: 3.10 7.7
func TestBrokerSubscribeWith(t *testing.T) {
	s := brokertest.Start(t)
	c := newClient(t, s.URL, s.SecretKey)
	positions := map[string][]protocol.Position{}
	for i := range 10 {
		for ch := range 8 { // some of them are stored together
			name := fmt.Sprint("c", ch)
			p, err := c.Publish(t.Context(), name, i)
			if err != nil {
				t.Fatal(err)
			}
			positions[name] = append(positions[name], p.Position)
		}
	}
	o := fanfare.SubscribeOptions{Since: map[string]protocol.Position{}}
	var names []string
	want := 0
	for ch := range 8 { // each is somewhere else
		name := fmt.Sprint("c", ch)
		names = append(names, name)
		o.Since[name] = positions[name][ch]
		want += 9 - ch
	}
	sub, err := c.SubscribeWith(t.Context(), o, names...)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	next := map[string]int{}
	for _, line := range takeAll(t, sub, want) {
		var ch, n int
		if _, err := fmt.Sscanf(line, "c%d %d", &ch, &n); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("c", ch)
		if next[name]++; n != ch+next[name] {
			t.Errorf("%s: %d came, %d is next", name, n, ch+next[name])
		}
	}

	rewound, err := c.SubscribeWith(t.Context(), fanfare.SubscribeOptions{Rewind: protocol.Rewind{Count: 2}}, "c0")
	if err != nil {
		t.Fatal(err)
	}
	defer rewound.Close()
	if _, err := c.Publish(t.Context(), "c0", 10); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c0 8", "c0 9", "c0 10"}, takeAll(t, rewound, 3)); diff != "" {
		t.Error(diff)
	}
	for _, o := range []fanfare.SubscribeOptions{
		{Rewind: protocol.Rewind{Count: 101}}, {Since: map[string]protocol.Position{"a": "x"}}, {Since: map[string]protocol.Position{"": "a:1"}},
	} {
		if sub, err := c.SubscribeWith(t.Context(), o, "a"); err == nil {
			sub.Close()
			t.Errorf("%+v is taken", o)
		}
	}
}
