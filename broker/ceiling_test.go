package broker_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// A node that has as many connections as it takes sends those who come away,
// with the time to come back; those who are there notice nothing.
//
// claims: 6.4
func TestConnectionCeiling(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.MaxConnections = 3 })
	var live []listener
	for range 3 {
		c, _ := openWS(t, s, s.SecretKey, "", "a")
		live = append(live, c)
	}
	turnedAway(t, s)
	publish(t, s, "a", `1`)
	for _, c := range live {
		if f := c.next(); string(f.Data) != "1" {
			t.Errorf("one who was there got %s", f.raw)
		}
	}
	live[0].close()
	deadline := time.Now().Add(patience)
	for { // the room that it leaves is for the next one
		c := dialWS(t, s, "")
		if f := c.hello(s.SecretKey); f.Type == protocol.TypeWelcome {
			return
		}
		c.close()
		if time.Now().After(deadline) {
			t.Fatal("the place stays taken")
		}
	}
}

// The same for memory.
func TestMemoryCeiling(t *testing.T) {
	s := brokertest.Start(t, func(c *broker.Config) { c.MaxMemory = 1 })
	deadline := time.Now().Add(patience)
	for {
		c := dialWS(t, s, "")
		if f := c.hello(s.SecretKey); f.Code == protocol.CodeOverloaded {
			break
		}
		c.close()
		if time.Now().After(deadline) {
			t.Fatal("one byte of memory is enough")
		}
	}
	turnedAway(t, s)
	if status, body := post(t, s, "/v1/messages", s.SecretKey, `{"channel":"a","data":1}`); status != http.StatusOK {
		t.Errorf("publishing is no new connection: %d %s", status, body)
	}
}

func turnedAway(t *testing.T, s *brokertest.Server) {
	t.Helper()
	c := dialWS(t, s, "")
	f := c.hello(s.SecretKey)
	if f.Code != protocol.CodeOverloaded || f.Close != 4100 || f.RetryAfter < 2000 || f.RetryAfter > 4000 {
		t.Errorf("over WebSocket: %s", f.raw)
	}
	req, err := http.NewRequest(http.MethodGet, s.URL+"/v1/sse?channel=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.SecretKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains("2 3 4", res.Header.Get("Retry-After")) || res.Header.Get("Retry-After") == "" {
		t.Errorf("over SSE: %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
}
