package protocol_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// parse reads JSON for comparison: numbers keep their text.
func parse(t testing.TB, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// claims: 1.8
func TestCommandVectors(t *testing.T) {
	var v struct {
		About string
		Cases []struct {
			Why, Line, Base64 string
			Command           json.RawMessage
			Code              protocol.Code
			Ref               int64
		}
	}
	load(t, "commands", &v)
	for _, c := range v.Cases {
		t.Run(c.Why, func(t *testing.T) {
			cmd, err := protocol.DecodeCommand([]byte(text(t, c.Line, c.Base64)))
			if c.Code != "" {
				wantCode(t, err, c.Code)
				if cmd.Ref != c.Ref {
					t.Errorf("the answer would carry ref %d, want %d", cmd.Ref, c.Ref)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, c.Command), parse(t, marshal(t, cmd))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// claims: 1.8 6.1
func TestReplyVectors(t *testing.T) {
	var v struct {
		About string
		Cases []struct {
			Why, Line string
			Reply     json.RawMessage
			Ignored   bool
			Error     *struct {
				Code       protocol.Code
				Channel    protocol.Channel
				Ref        int64
				RetryAfter int64 `json:"retry_after"`
				Closing    bool
			}
		}
	}
	load(t, "replies", &v)
	for _, c := range v.Cases {
		t.Run(c.Why, func(t *testing.T) {
			var r protocol.Reply
			if err := json.Unmarshal([]byte(c.Line), &r); err != nil {
				t.Fatal(err)
			}
			if c.Ignored {
				if known(r.Type) {
					t.Errorf("type %q is known", r.Type)
				}
				return
			}
			if !known(r.Type) {
				t.Errorf("type %q is unknown", r.Type)
			}
			if diff := cmp.Diff(parse(t, c.Reply), parse(t, marshal(t, r))); diff != "" {
				t.Error(diff)
			}
			if c.Error == nil {
				return
			}
			e := protocol.NewError(c.Error.Code).On(c.Error.Channel).After(time.Duration(c.Error.RetryAfter) * time.Millisecond)
			if diff := cmp.Diff(r, protocol.ErrorReply(e, c.Error.Ref, c.Error.Closing)); diff != "" {
				t.Errorf("the server's frame differs: %s", diff)
			}
		})
	}
}

func known(typ string) bool {
	return slices.Contains([]string{
		protocol.TypePing, protocol.TypePong, protocol.TypeWelcome, protocol.TypeAuthorized, protocol.TypeSubscribed,
		protocol.TypeUnsubscribed, protocol.TypePublished, protocol.TypeMessage, protocol.TypeError, protocol.TypeClose,
		protocol.TypePresence, protocol.TypePresenceOK, protocol.TypeOccupancy,
	}, typ)
}

// claims: 1.5 4.1
func TestMessageVectors(t *testing.T) {
	var v struct {
		About string
		Cases []struct {
			Why, ID, Event, User, Data, Body, Frame string
			Channel                                 protocol.Channel
			Time                                    int64
			Position, Previous                      protocol.Position
		}
	}
	load(t, "messages", &v)
	for _, c := range v.Cases {
		t.Run(c.Why, func(t *testing.T) {
			m := protocol.Message{
				Type: protocol.TypeMessage, Channel: c.Channel, ID: c.ID, Position: c.Position, Previous: c.Previous,
				Time: c.Time, Event: c.Event, User: c.User, Data: json.RawMessage(c.Data),
			}
			body := m.AppendBody(nil)
			if diff := cmp.Diff(c.Body, string(body)); diff != "" {
				t.Error("body", diff)
			}
			frame := protocol.AppendFrame([]byte("before "), body, c.Position, c.Previous)
			if diff := cmp.Diff("before "+c.Frame, string(frame)); diff != "" {
				t.Error("frame", diff)
			}
			var got protocol.Message
			if err := json.Unmarshal([]byte(c.Frame), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Error("read back", diff)
			}
		})
	}
}

func TestLines(t *testing.T) {
	tests := []struct {
		frame string
		want  []string
	}{
		{"", nil},
		{"\n\n \n\r\n", nil},
		{`{"a":1}`, []string{`{"a":1}`}},
		{"{}\n{}", []string{"{}", "{}"}},
		{"\n {}\r\n\n[]\n", []string{"{}", "[]"}},
	}
	for _, tt := range tests {
		var got []string
		for line := range protocol.Lines([]byte(tt.frame)) {
			got = append(got, string(line))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.frame, diff)
		}
	}
	n := 0
	for range protocol.Lines([]byte("{}\n{}\n{}")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("a range that stops at the second line saw %d", n)
	}
}
