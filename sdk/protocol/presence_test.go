package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 11.1
func TestPresenceVectors(t *testing.T) {
	var v struct {
		About    string
		Commands []struct {
			Why, Line string
			Command   json.RawMessage
			Code      protocol.Code
			Ref       int64
		}
		Replies []struct {
			Why, Line string
			Reply     json.RawMessage
		}
	}
	load(t, "presence", &v)
	for _, c := range v.Commands {
		t.Run("command/"+c.Why, func(t *testing.T) {
			cmd, err := protocol.DecodeCommand([]byte(c.Line))
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
	for _, c := range v.Replies {
		t.Run("reply/"+c.Why, func(t *testing.T) {
			var r protocol.Reply
			if err := json.Unmarshal([]byte(c.Line), &r); err != nil {
				t.Fatal(err)
			}
			if !known(r.Type) {
				t.Errorf("type %q is unknown", r.Type)
			}
			if diff := cmp.Diff(parse(t, c.Reply), parse(t, marshal(t, r))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
