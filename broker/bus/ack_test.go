package bus_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanfarehq/fanfare/broker/bus"
)

// TestAnswersOfStreams has what a message server says to a publish, in any
// form that it may say it.
func TestAnswersOfStreams(t *testing.T) {
	for _, c := range []struct {
		data      string
		seq       uint64
		duplicate bool
		bad       bool
	}{
		{data: `{"stream":"Hs0","seq":12}`, seq: 12},
		{data: `{"stream":"Hs0", "seq": 12}`, seq: 12},
		{data: `{"stream":"Hs0","domain":"hub","seq":12}`, seq: 12},
		{data: `{"stream":"Hs0","seq":9223372036854775807}`, seq: 9223372036854775807},
		{data: `{"stream":"Hs0","seq":12,"duplicate": true}`, seq: 12, duplicate: true},
		{data: `{"duplicate":true,"seq":12,"stream":"Hs0"}`, seq: 12, duplicate: true},
		{data: `{"stream":"Hs0","seq":99999999999999999999}`, bad: true},
		{data: `{"stream":"Hs0","seq":-1}`, bad: true},
		{data: `{"stream":"Hs0","seq":}`, bad: true},
		{data: `{"stream":"Hs0`, bad: true},
		{data: `{"seq":12}`, bad: true},
		{data: ``, bad: true},
	} {
		seq, duplicate, err := bus.ReadAck(&nats.Msg{Data: []byte(c.data)})
		if seq != c.seq || duplicate != c.duplicate || (err != nil) != c.bad {
			t.Errorf("%s: read %d %v %v", c.data, seq, duplicate, err)
		}
	}
	_, _, err := bus.ReadAck(&nats.Msg{Data: []byte(`{"stream":"Hs0","seq":0,"error":{"code":400,"err_code":10071,"description":"wrong last sequence"}}`)})
	if e, ok := errors.AsType[*jetstream.APIError](err); !ok || e.ErrorCode != 10071 {
		t.Errorf("an error was read as %v", err)
	}
	_, _, err = bus.ReadAck(&nats.Msg{Header: nats.Header{"Status": {"503"}}})
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody there was read as %v", err)
	}
}
