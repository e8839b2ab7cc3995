package broker_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// BenchmarkDurablePublish measures publishes of 200 bytes to durable channels
// over REST: one at a time from one client, from 16 at once, and in batches.
func BenchmarkDurablePublish(b *testing.B) {
	data := strings.Repeat("x", 200)
	for _, c := range []struct {
		name           string
		clients, batch int
	}{{"single/1", 1, 1}, {"single/16", 16, 1}, {"batch100/4", 4, 100}} {
		b.Run(c.name, func(b *testing.B) {
			s := brokertest.Start(b)
			lift(b, s)
			client, err := fanfare.New(s.URL, s.SecretKey)
			if err != nil {
				b.Fatal(err)
			}
			took := make([][]time.Duration, c.clients)
			var all sync.WaitGroup
			b.ResetTimer()
			for i := range c.clients {
				all.Go(func() {
					msgs := make([]fanfare.Message, c.batch)
					for n := i; n < b.N; n += c.clients {
						for j := range msgs {
							msgs[j] = fanfare.Message{Channel: fmt.Sprint("c", (n+j)%16), Data: data}
						}
						from := time.Now()
						if _, err := client.PublishAll(b.Context(), msgs...); err != nil {
							b.Error(err)
							return
						}
						took[i] = append(took[i], time.Since(from))
					}
				})
			}
			all.Wait()
			b.StopTimer()
			each := slices.Sorted(slices.Values(slices.Concat(took...)))
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64(each[len(each)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(each[len(each)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkResume measures a connection, hello and a subscribe that brings
// back 100 missed messages, until the last of them has come.
func BenchmarkResume(b *testing.B) {
	const missed = 100
	s := brokertest.Start(b)
	lift(b, s)
	client, err := fanfare.New(s.URL, s.SecretKey)
	if err != nil {
		b.Fatal(err)
	}
	first, err := client.Publish(b.Context(), "much:a", 0)
	if err != nil {
		b.Fatal(err)
	}
	for range missed - 1 {
		if _, err := client.Publish(b.Context(), "much:a", 1); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := client.Publish(b.Context(), "much:a", 1); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		from := time.Now()
		sub, err := client.SubscribeWith(b.Context(), fanfare.SubscribeOptions{Since: map[string]protocol.Position{"much:a": first.Position}, At: time.Now().UnixMilli()}, "much:a")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range sub.All() {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == missed {
				break
			}
		}
		took = append(took, time.Since(from))
		sub.Close()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// lift takes the app's publish limit out of the way and lets a namespace keep much.
func lift(b *testing.B, s *brokertest.Server) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPatch, s.URL+"/v1/apps/"+s.App, strings.NewReader(`{"limits":{"publish_per_second":1000000},"rules":[{"namespace":"much","history":{"messages":10000,"age":3600}},{"namespace":"none","ephemeral":true}]}`))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.AccountToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("lift the limit: %s", resp.Status)
	}
}
