package api_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// sink is a ResponseWriter that costs next to nothing, so that a benchmark
// shows the door alone.
type sink struct {
	h      http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func benchmark(b *testing.B, w *world, as, body string) {
	r, err := http.NewRequest(http.MethodPost, "/v1/messages", nil)
	must(b, err)
	r.Header.Set("Authorization", "Bearer "+as)
	reader := strings.NewReader(body)
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	s := &sink{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		r.Body = readerBody{reader}
		clear(s.h)
		if w.handler.ServeHTTP(s, r); s.status != 200 {
			b.Fatalf("status %d", s.status)
		}
	}
}

type readerBody struct{ *strings.Reader }

func (readerBody) Close() error { return nil }
