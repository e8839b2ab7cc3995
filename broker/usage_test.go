package broker_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestUsageIsExact counts 100,000 messages of four publishers by hand, with
// duplicates and refused ones among them, over a restart of the node.
//
// claims: 9.36
func TestUsageIsExact(t *testing.T) {
	s := brokertest.Start(t)
	limits := `{"limits":{"publish_per_second":1000000},"rules":[{"namespace":"fleeting","ephemeral":true}]}`
	if status, body := call(t, s, http.MethodPatch, "/v1/apps/"+s.App, s.AccountToken, limits); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	names := make([]string, 450)
	for i := range names {
		names[i] = fmt.Sprintf(`"fleeting:%d"`, i)
	}
	fleeting := `{"channels":[` + strings.Join(names, ",") + `],"data":"ab"}`
	var messages, bytes int64
	half := func(s *brokertest.Server, part int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(uint64(part), uint64(g)))
				for b := range 25 {
					n, sum, body := batch(dice, fmt.Sprint(part, "-", g, "-", b), 50)
					for range 1 + dice.IntN(2) { // again: all of it is known by its ids
						if status, answer := post(t, s, "/v1/messages", s.SecretKey, body); status != http.StatusOK {
							t.Errorf("%d %s", status, answer)
						}
					}
					if status, _ := post(t, s, "/v1/messages", s.SecretKey, `{"messages":[{"channel":"a","data":1},{"channel":"","data":1}]}`); status != http.StatusBadRequest {
						t.Errorf("%d for a wrong batch", status)
					}
					if status, answer := post(t, s, "/v1/messages", s.SecretKey, fleeting); status != http.StatusOK {
						t.Errorf("%d %s", status, answer)
					}
					n, sum = n+450, sum+450*4
					mu.Lock()
					messages, bytes = messages+n, bytes+sum
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	half(s, 1)
	data := s.Data
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = brokertest.Start(t, func(c *broker.Config) { c.Data = data })
	half(s, 2)
	if messages != 100_000 {
		t.Fatalf("the test published %d", messages)
	}
	for _, path := range []string{"/v1/apps/" + s.App + "/usage", "/v1/account/usage"} {
		for _, by := range []string{"minute", "hour", "day", "month"} {
			var got struct {
				Total struct{ Messages, Bytes int64 }
			}
			_, body := call(t, s, http.MethodGet, path+"?by="+by, s.AccountToken, "")
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.Total.Messages != messages || got.Total.Bytes != bytes {
				t.Errorf("%s by %s: %+v of %d messages and %d bytes, %v", path, by, got.Total, messages, bytes, err)
			}
		}
	}
}

// batch is a batch of n messages with ids, and how many bytes their data has.
func batch(dice *rand.Rand, name string, n int) (messages, bytes int64, body string) {
	var b strings.Builder
	b.WriteString(`{"messages":[`)
	for i := range n {
		data := fmt.Sprintf(`"%s"`, strings.Repeat("x", dice.IntN(30)))
		bytes += int64(len(data))
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"channel":"c%d","data":%s,"id":"%s-%d"}`, i%100, data, name, i)
	}
	b.WriteString("]}")
	return int64(n), bytes, b.String()
}

// TestQuotaWarnings: publishers are told by a header, the account by its
// webhooks, and a client beyond the quota of connections finds no room.
//
// claims: 9.33 9.37
func TestQuotaWarnings(t *testing.T) {
	came := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		came <- string(body)
	}))
	defer receiver.Close()
	s := brokertest.Start(t, func(c *broker.Config) { c.WebhooksPrivate = true })
	if status, body := post(t, s, "/v1/apps/"+s.App+"/webhooks", s.AccountToken, `{"url":"`+receiver.URL+`","events":["quota.warning"]}`); status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	_, body := call(t, s, http.MethodGet, "/v1/account", s.AccountToken, "")
	var me struct{ ID string }
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatal(err)
	}
	if status, body := call(t, s, http.MethodPatch, "/v1/accounts/"+me.ID, s.AccountToken, `{"plan":"custom","quotas":{"messages":1000,"connections":1}}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	ready(t, s, s.PublishableKey)
	if f := dialWS(t, s, "").hello(s.PublishableKey); f.Code != protocol.CodeConnectionLimit || !strings.Contains(f.Message, "plan") {
		t.Errorf("the second connection of one is told %s", f.raw)
	}
	_, _, all := batch(rand.New(rand.NewPCG(1, 1)), "w", 900)
	if status, answer := post(t, s, "/v1/messages", s.SecretKey, all); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	seen := map[string]bool{}
	for !seen["messages"] || !seen["connections"] {
		var e struct {
			Type string
			Data struct {
				App, Quota string
				Used, Most int64
			}
		}
		var text string
		select {
		case text = <-came:
		case <-late.C:
			t.Fatalf("of the warnings only %v came", seen)
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Type != "quota.warning" || e.Data.App != s.App || e.Data.Used*5 < e.Data.Most*4 {
			t.Fatalf("%v: %s", err, text)
		}
		seen[e.Data.Quota] = true
	}
	for warned := false; !warned; {
		if len(late.C) > 0 {
			t.Fatal("publishers are not warned")
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/messages", strings.NewReader(`{"channel":"a","data":1,"id":"same"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.SecretKey)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		note := resp.Header.Get("Fanfare-Quota")
		warned = strings.Contains(note, "messages 90%") && strings.Contains(note, "connections 100%")
	}
}

// usage: what is published at any node is told by all.
func (c *nodes) usage(t *testing.T) {
	app, secret := makeApp(t, c.all[0].Server, "metered")
	for i, p := range c.all {
		for n := range 10 {
			eventually(t, "a node knows the new key", func() bool {
				status, _ := post(t, p.Server, "/v1/messages", secret, fmt.Sprintf(`{"channel":"a","data":1,"id":"%d-%d"}`, i, n))
				return status == http.StatusOK
			})
		}
	}
	for i, p := range c.all {
		eventually(t, fmt.Sprintf("node %d tells what all nodes counted", i), func() bool {
			_, body := call(t, p.Server, http.MethodGet, "/v1/apps/"+app+"/usage?by=day", p.AccountToken, "")
			return strings.Contains(body, `"total":{"messages":30,"bytes":30,`) && strings.Contains(body, `"stored":30`)
		})
	}
}
