package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// BenchmarkCost measures the CPU time that a node in a process of its own
// spends on one publish of 128 bytes over REST and its delivery: 5,000
// channels with one WebSocket subscriber each, publishes that come one by one
// over 16 connections, as fast as they are answered ("full") or 2,000 a second
// ("paced"). One operation is one message. FANFARE_PROFILES names a folder
// for the node's CPU profiles.
func BenchmarkCost(b *testing.B) {
	const channels = 5000
	for _, kind := range []string{"none", "short"} { // ephemeral and durable, by the rules below
		for _, pace := range []int{0, 2000} {
			name := map[string]string{"none": "ephemeral", "short": "durable"}[kind] + "/" + map[int]string{0: "full", 2000: "paced"}[pace]
			b.Run(name, func(b *testing.B) {
				p := startProcess(b, b.TempDir())
				defer func() {
					if err := p.quit(); err != nil {
						b.Errorf("stop the node: %v %s", err, p.log)
					}
				}()
				lift(b, p.Server)
				var got atomic.Int64
				subscribeAll(b, p.URL, p.PublishableKey, kind, channels, &got)
				l := newLoad(b, p.URL, p.SecretKey, 16)
				l.run(b, kind, channels, 2000, 0) // warm
				for got.Load() < 2000 {
					<-time.After(time.Millisecond)
				}
				got.Store(0)
				if dir := os.Getenv("FANFARE_PROFILES"); dir != "" {
					p.order(b, "cpu %s", filepath.Join(dir, strings.ReplaceAll(name, "/", "-")))
					defer p.order(b, "cpu")
				}
				before := p.cpu(b)
				b.ResetTimer()
				l.run(b, kind, channels, b.N, pace)
				for got.Load() < int64(b.N) {
					<-time.After(time.Millisecond)
				}
				b.StopTimer()
				b.ReportMetric(float64((p.cpu(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

// cpu is the CPU time that the process has taken up to now.
func (p *process) cpu(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// subscribeAll opens a WebSocket for each channel and counts what comes.
func subscribeAll(b *testing.B, url, key, kind string, channels int, got *atomic.Int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var reading sync.WaitGroup
	b.Cleanup(func() { cancel(); reading.Wait() })
	var ready sync.WaitGroup
	gate := make(chan struct{}, 64)
	for i := range channels {
		ready.Add(1)
		gate <- struct{}{}
		reading.Go(func() {
			conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/v1/ws", nil)
			<-gate
			if err != nil {
				b.Error(err)
				ready.Done()
				return
			}
			defer conn.CloseNow()
			hello := fmt.Sprintf(`{"type":"hello","key":%q}`+"\n"+`{"type":"subscribe","ref":1,"channel":"%s:%d"}`, key, kind, i)
			if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
				b.Error(err)
			}
			for up := false; ; {
				_, text, err := conn.Read(ctx)
				if err != nil {
					return
				}
				if !up && bytes.Contains(text, []byte(`"subscribed"`)) {
					up = true
					ready.Done()
				}
				got.Add(int64(bytes.Count(text, []byte(`"type":"message"`))))
			}
		})
	}
	ready.Wait()
}

// load publishes over connections of its own, with as little work as it can.
type load struct {
	conns []net.Conn
	host  string
	key   string
}

func newLoad(b *testing.B, url, key string, conns int) *load {
	l := &load{host: strings.TrimPrefix(url, "http://"), key: key}
	for range conns {
		c, err := net.Dial("tcp", l.host)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		l.conns = append(l.conns, c)
	}
	return l
}

// run publishes n messages, at most pace a second where that is not 0.
func (l *load) run(b *testing.B, kind string, channels, n, pace int) {
	var next atomic.Int64
	start := time.Now()
	var all sync.WaitGroup
	data := strings.Repeat("x", 126)
	for _, c := range l.conns {
		all.Go(func() {
			in := bufio.NewReader(c)
			var out bytes.Buffer
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if pace > 0 {
					<-time.After(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(pace))))
				}
				body := fmt.Sprintf(`{"channel":"%s:%d","data":%q}`, kind, i*7919%channels, data)
				out.Reset()
				fmt.Fprintf(&out, "POST /v1/messages HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", l.host, l.key, len(body), body)
				if _, err := c.Write(out.Bytes()); err != nil {
					b.Error(err)
					return
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("%d %s %v", resp.StatusCode, text, err)
					return
				}
			}
		})
	}
	all.Wait()
}
