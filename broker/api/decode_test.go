package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// FuzzDecodePublish holds the walk over a body against encoding/json: what is
// taken means the same to both, and no input panics.
func FuzzDecodePublish(f *testing.F) {
	for _, s := range []string{
		`{"channel":"a","data":1}`, `{"channels":["a","b"],"data":{"x":[1,"]}"]},"event":"e"}`, `{"messages":[{"channel":"a","data":null,"id":"i"}]}`,
		` {"channel" : "\u0061\"" , "data" : -1.5e7 } `, `{"data":[[],{}],"channel":""}`, `{"messages":[]}`, `{"channel":"a","data":1,"id":"i","first":true}`, `[]`, `"x"`, `1`, ``, `{}`, `{"channel":null}`,
		`{"channel":"a","data":"\\"}`, `{"channel":"a","data":1,"data":2}`, "{\"channel\":\"\xff\"}", `{"messages":[1,{"channel":"a","data":{}}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		msgs, batch, err := decodePublish(bytes.Clone(body))
		if err != nil {
			if _, ok := errors.AsType[*protocol.Error](err); !ok {
				t.Fatalf("not a *protocol.Error: %v", err)
			}
			if len(msgs) != 0 {
				t.Fatal("messages beside an error")
			}
			if !json.Valid(body) != errors.Is(err, protocol.NewError(protocol.CodeBadJSON)) && bytes.Equal(body, bytes.ToValidUTF8(body, nil)) {
				t.Fatalf("%q is answered %v", body, err)
			}
			return
		}
		var want struct {
			protocol.Outgoing
			Channels []protocol.Channel
			Messages []protocol.Outgoing
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("taken, but encoding/json says %v", err)
		}
		list := want.Messages
		for _, ch := range want.Channels {
			m := want.Outgoing
			m.Channel = ch
			list = append(list, m)
		}
		if !batch {
			list = []protocol.Outgoing{want.Outgoing}
		}
		if len(msgs) != len(list) || len(msgs) == 0 || len(msgs) > maxBatch {
			t.Fatalf("%d messages, want %d", len(msgs), len(list))
		}
		for i, m := range msgs {
			if m.Channel != list[i].Channel || m.Event != list[i].Event || m.ID != list[i].ID || m.First != list[i].First || !bytes.Equal(m.Data, list[i].Data) {
				t.Fatalf("message %d is %+v, want %+v", i, m, list[i])
			}
		}
	})
}
