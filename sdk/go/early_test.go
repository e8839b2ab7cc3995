package fanfare_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// earlyStream subscribes to channel c with Early against f.
func earlyStream(t *testing.T, f *fake, answer string) (*fanfare.Subscription, *conn) {
	t.Helper()
	opened := make(chan *conn, 1)
	go func() {
		k := f.next(t)
		k.begin().write("event: welcome\ndata: {\"type\":\"welcome\",\"session\":\"s\",\"time\":90,\"ping_interval\":15}\n\n")
		k.write("event: subscribed\ndata: " + answer + "\n\n")
		opened <- k
	}()
	c := newClient(t, "http://h", publishableKey, fanfare.WithHTTPClient(&http.Client{Transport: f}))
	sub, err := c.SubscribeWith(t.Context(), fanfare.SubscribeOptions{Early: true}, "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	k := <-opened
	if q := k.req.URL.Query(); q.Get("early") != "true" {
		t.Fatalf("the stream was asked for with %v", q)
	}
	return sub, k
}

// frames writes frames as events of the stream.
func (c *conn) frames(all ...json.RawMessage) {
	for _, line := range all {
		var f protocol.Reply
		if err := json.Unmarshal(line, &f); err != nil {
			c.t.Fatal(err)
		}
		switch {
		case f.Type != protocol.TypeMessage:
			c.write("event: " + f.Type + "\n")
		case f.Position != nil:
			c.write("id: " + string(*f.Position) + "\n")
		}
		c.write("data: " + string(line) + "\n\n")
	}
}

// handed is what came until everything is quiet: ids, with ! where early.
func handed(t *testing.T, sub *fanfare.Subscription) (ids []string) {
	t.Helper()
	go func() {
		synctest.Wait()
		sub.Close()
	}()
	for m, err := range sub.All() {
		if err != nil {
			t.Fatal(err)
		}
		id := m.ID
		if m.Type == protocol.TypeEarly {
			id += "!"
			if m.Position != "" {
				t.Errorf("%s has the position %s", id, m.Position)
			}
		}
		ids = append(ids, id)
	}
	return ids
}

// claims: 4.7 4.8 7.8
func TestEarlyVectors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "protocol", "vectors", "early.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Why    string
			Frames []json.RawMessage
			Handed []string
		}
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Cases) < 9 {
		t.Fatalf("%d cases, %v", len(v.Cases), err)
	}
	for _, c := range v.Cases {
		t.Run(c.Why, inBubble(func(t *testing.T) {
			sub, k := earlyStream(t, newFake(), string(c.Frames[0]))
			k.frames(c.Frames[1:]...)
			if got := handed(t, sub); !slices.Equal(got, c.Handed) {
				t.Errorf("handed on: %v, want %v", got, c.Handed)
			}
		}))
	}
}

func earlyFrame(id string, at int) json.RawMessage {
	return fmt.Appendf(nil, `{"type":"early","channel":"c","id":%q,"time":%d,"data":1}`, id, at)
}

func storedFrame(id string, at, seq int) json.RawMessage {
	return fmt.Appendf(nil, `{"type":"message","position":"e:%d","previous":"e:%d","channel":"c","id":%q,"time":%d,"data":1}`, seq, seq-1, id, at)
}

const earlyAnswer = `{"type":"subscribed","channel":"c","position":"e:0","time":100}`

// claims: 4.8
func TestEarlyOverABreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		sub, k := earlyStream(t, f, earlyAnswer)
		k.frames(storedFrame("a", 101, 1), earlyFrame("b", 102))
		_ = k.w.Close()
		k = f.next(t)
		if id := k.req.Header.Get("Last-Event-ID"); id != "e:1" {
			t.Errorf("it resumes at %q", id)
		}
		k.begin().write("event: welcome\ndata: {\"type\":\"welcome\",\"session\":\"s\",\"time\":40000,\"ping_interval\":15}\n\n")
		k.write("event: subscribed\ndata: {\"type\":\"subscribed\",\"channel\":\"c\",\"position\":\"e:2\",\"recovered\":true,\"time\":40000}\n\n")
		k.frames(earlyFrame("a", 101), storedFrame("b", 102, 2), storedFrame("x", 103, 3), earlyFrame("d", 104))
		if got := handed(t, sub); !slices.Equal(got, []string{"a", "b!", "x", "d!"}) {
			t.Errorf("handed on: %v", got)
		}
	})
}

// claims: 4.8
func TestEarlyForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub, k := earlyStream(t, newFake(), earlyAnswer)
		go func() {
			for i := 1; i <= 1100; i++ {
				k.frames(storedFrame(fmt.Sprint("m", i), 100+i, i))
			}
			k.frames(earlyFrame("m1", 101), earlyFrame("m100", 200), earlyFrame("new", 199), earlyFrame("m1000", 1100))
			for i := 1; i <= 1005; i++ {
				k.frames(earlyFrame(fmt.Sprint("n", i), 200+i))
			}
			k.frames(earlyFrame("later", 200_000)) // the others can no longer be stored
		}()
		got := handed(t, sub)
		if len(got) != 1100+1000+1 {
			t.Fatalf("%d were handed on", len(got))
		}
		if first, last := got[1100], got[len(got)-1]; first != "n1!" || last != "later!" {
			t.Errorf("the early ones go from %s to %s", first, last)
		}
	})
}

// claims: 3.13
func TestPublishSaysThatItIsTheFirst(t *testing.T) {
	var firsts [][]bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		type item struct{ First bool }
		var body struct {
			item
			Messages []item
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got := []bool{body.First}
		for _, m := range body.Messages {
			got = append(got, m.First)
		}
		if firsts = append(firsts, got); len(firsts)%2 == 1 {
			problem(w, 503, `{"code":"unavailable","detail":"D.","remedy":"R."}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if body.Messages == nil {
			fmt.Fprint(w, `{"id":"i","position":""}`)
		} else {
			fmt.Fprint(w, `{"messages":[{"id":"i"},{"id":"i"}]}`)
		}
	})
	c := newClient(t, url, secretKey)
	if _, err := c.Publish(t.Context(), "c", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context(), "c", 1, fanfare.ID("mine")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PublishAll(t.Context(), fanfare.Message{Channel: "c"}, fanfare.Message{Channel: "c", ID: "mine"}); err != nil {
		t.Fatal(err)
	}
	want := "[[true] [false] [false] [false] [false true false] [false false false]]"
	if got := fmt.Sprint(firsts); got != want {
		t.Errorf("first was said: %s, want %s", got, want)
	}
}
