package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// BenchmarkStart is from nothing to ready to serve, on an empty data folder.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		n, err := broker.New(b.Context(), broker.Config{
			Listen: "127.0.0.1:0", Data: b.TempDir(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkLatency is from the start of POST /v1/messages to the message at a
// WebSocket subscriber, at 1,000 messages a second, each sent when it is due
// whether or not those before are done. Run it with -benchtime=10000x: one
// operation is one message.
func BenchmarkLatency(b *testing.B) {
	s := brokertest.Start(b)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/v1/ws", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.CloseNow()
	hello := fmt.Sprintf(`{"type":"hello","key":%q}`+"\n"+`{"type":"subscribe","ref":1,"channel":"bench"}`, s.PublishableKey)
	if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, 0, b.N)
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for len(took) < b.N {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			now := time.Now()
			for line := range bytes.SplitSeq(text, []byte("\n")) {
				var f struct {
					Type string
					Data int64
				}
				if json.Unmarshal(line, &f) != nil {
					continue
				}
				switch f.Type {
				case "subscribed":
					close(ready)
				case "message":
					took = append(took, now.Sub(time.Unix(0, f.Data)))
				}
			}
		}
	}()
	<-ready
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	due := time.NewTicker(time.Millisecond)
	defer due.Stop()
	var sending sync.WaitGroup
	b.ResetTimer()
	for range b.N {
		<-due.C
		sending.Go(func() {
			body := fmt.Sprintf(`{"channel":"bench","data":%d}`, time.Now().UnixNano())
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/messages", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+s.SecretKey)
			resp, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Errorf("publish: %d %v", resp.StatusCode, err)
			}
		})
	}
	sending.Wait()
	<-done
	b.StopTimer()
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[(len(took)-1)*p/100].Microseconds()), fmt.Sprintf("µs-p%d", p))
	}
}
