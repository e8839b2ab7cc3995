package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// benchMessage is a message of 128 bytes of data with the usual names.
func benchMessage() *protocol.Message {
	return &protocol.Message{
		Channel: "tenant:orders:42", ID: "7GQ2ZK3M4N5P6R7S8T9V0W1X2Y", Time: 1764000000000, Event: "paid", User: "user-1",
		Data: json.RawMessage(`{"text":"` + strings.Repeat("x", 117) + `"}`),
	}
}

func BenchmarkAppendBody(b *testing.B) {
	m, buf := benchMessage(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendBody(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkAppendFrame(b *testing.B) {
	body, buf := benchMessage().AppendBody(nil), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = protocol.AppendFrame(buf[:0], body, "k3v9a:123456", "k3v9a:123455")
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeCommand(b *testing.B) {
	for name, line := range map[string]string{
		"ping":      `{"type":"ping","ref":7}`,
		"subscribe": `{"type":"subscribe","ref":7,"channel":"tenant:orders:42"}`,
		"publish":   `{"type":"publish","ref":7,"channel":"tenant:orders:42","event":"paid","data":` + string(benchMessage().Data) + `}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if _, err := protocol.DecodeCommand([]byte(line)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
