package stats_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/stats"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func scrape(t *testing.T, s *stats.Stats) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d, %v", w.Code, err)
	}
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		t.Errorf("Content-Type = %q, want text/plain", ct)
	}
	return string(body)
}

func TestCounts(t *testing.T) {
	s := stats.New()
	s.Connected("ws")
	s.Connected("ws")
	s.Connected("sse")
	s.Disconnected("ws", protocol.CodeSlowClient)
	s.Disconnected("sse", "")
	s.Published(3)
	s.Published(-1)
	s.Delivered(40)
	s.Subscribed(5)
	s.Subscribed(-2)
	s.Request("/v1/messages", "POST", 200, 3*time.Millisecond)
	s.Request("/v1/messages", "BREW", 405, time.Millisecond)
	s.Refused(protocol.CodePublishRate)
	s.Refused("made_up")
	got := scrape(t, s)
	for _, line := range []string{
		`fanfare_connections{door="ws"} 1`,
		`fanfare_connections{door="sse"} 0`,
		`fanfare_connections_opened_total{door="ws"} 2`,
		`fanfare_connections_closed_total{code="slow_client",door="ws"} 1`,
		`fanfare_connections_closed_total{code="none",door="sse"} 1`,
		`fanfare_messages_published_total 3`,
		`fanfare_messages_delivered_total 40`,
		`fanfare_subscriptions 3`,
		`fanfare_http_requests_total{method="POST",route="/v1/messages",status="200"} 1`,
		`fanfare_http_requests_total{method="other",route="/v1/messages",status="405"} 1`,
		`fanfare_http_request_duration_seconds_count{route="/v1/messages"} 2`,
		`fanfare_http_request_duration_seconds_bucket{route="/v1/messages",le="0.005"} 2`,
		`fanfare_refused_total{code="publish_rate"} 1`,
		`fanfare_refused_total{code="other"} 1`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{"fanfare_build_info{", "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(got, "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
}

// claims: 4.5
func TestNoLabelNamesATenant(t *testing.T) {
	s := stats.New()
	s.Connected("ws")
	s.Disconnected("ws", "")
	s.Request("/v1/apps/:app", "GET", 200, time.Millisecond)
	s.Refused(protocol.CodeNotGranted)
	allowed := map[string]bool{"door": true, "code": true, "route": true, "method": true, "status": true, "le": true, "version": true, "go": true}
	label := regexp.MustCompile(`[{,]([a-z_]+)="`)
	seen := 0
	for line := range strings.Lines(scrape(t, s)) {
		if !strings.HasPrefix(line, "fanfare_") {
			continue
		}
		for _, m := range label.FindAllStringSubmatch(line, -1) {
			seen++
			if !allowed[m[1]] {
				t.Errorf("label %s in %s", m[1], line)
			}
		}
	}
	if seen == 0 {
		t.Fatal("no labels seen")
	}
}

func TestTwoServersDoNotMix(t *testing.T) {
	a, b := stats.New(), stats.New()
	a.Published(7)
	if got := scrape(t, b); !strings.Contains(got, "fanfare_messages_published_total 0\n") {
		t.Error("b counts what a published")
	}
}

func TestConcurrently(t *testing.T) {
	s := stats.New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				s.Connected("ws")
				s.Delivered(2)
				s.Request("/livez", "GET", 200, time.Microsecond)
				s.Refused(protocol.CodeBadJSON)
				s.Disconnected("ws", protocol.CodeRestarting)
			}
		})
	}
	wg.Go(func() { scrape(t, s) })
	wg.Wait()
	got := scrape(t, s)
	for _, line := range []string{`fanfare_connections{door="ws"} 0`, `fanfare_messages_delivered_total 1600`, `fanfare_refused_total{code="bad_json"} 800`} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func BenchmarkDelivered(b *testing.B) {
	s := stats.New()
	b.ReportAllocs()
	for b.Loop() {
		s.Delivered(1)
	}
}

func BenchmarkRequest(b *testing.B) {
	s := stats.New()
	b.ReportAllocs()
	for b.Loop() {
		s.Request("/v1/messages", "POST", 200, 80*time.Microsecond)
	}
}
