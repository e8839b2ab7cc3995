package protocol_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// load reads vectors/name.json into v. It fails for members that v does not
// have, so that no part of a vector goes unread.
func load(t testing.TB, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("vectors", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s.json: %v", name, err)
	}
}

// text is a vector's text: as it stands, or base64 of bytes that are no UTF-8.
func text(t testing.TB, plain, encoded string) string {
	t.Helper()
	if encoded == "" {
		return plain
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantCode fails unless err is a complete *protocol.Error of code.
func wantCode(t testing.TB, err error, code protocol.Code) {
	t.Helper()
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	if e.Code != code || e.Message == "" || e.Remedy == "" {
		t.Fatalf("got %+v, want code %s with a message and a remedy", e, code)
	}
}

// claims: 1.1 1.2
func TestChannelVectors(t *testing.T) {
	var v struct {
		About string
		Valid []struct {
			Why, Name, Namespace string
		}
		Invalid []struct {
			Why, Name, Base64 string
		}
	}
	load(t, "channels", &v)
	for _, c := range v.Valid {
		t.Run("valid/"+c.Why, func(t *testing.T) {
			ch, err := protocol.ParseChannel(c.Name)
			if err != nil || string(ch) != c.Name {
				t.Fatalf("ParseChannel(%q) = %q, %v", c.Name, ch, err)
			}
			if got := ch.Namespace(); got != c.Namespace {
				t.Errorf("Namespace of %q is %q, want %q", c.Name, got, c.Namespace)
			}
		})
	}
	for _, c := range v.Invalid {
		t.Run("invalid/"+c.Why, func(t *testing.T) {
			ch, err := protocol.ParseChannel(text(t, c.Name, c.Base64))
			wantCode(t, err, protocol.CodeChannelInvalid)
			if ch != "" {
				t.Errorf("got %q beside the error", ch)
			}
		})
	}
}

// claims: 1.3
func TestIDVectors(t *testing.T) {
	var v struct {
		About   string
		Valid   []struct{ Why, ID string }
		Invalid []struct{ Why, ID, Base64 string }
	}
	load(t, "ids", &v)
	for _, c := range v.Valid {
		if err := protocol.CheckID(c.ID); err != nil {
			t.Errorf("%s: CheckID(%q): %v", c.Why, c.ID, err)
		}
	}
	for _, c := range v.Invalid {
		t.Run(c.Why, func(t *testing.T) {
			wantCode(t, protocol.CheckID(text(t, c.ID, c.Base64)), protocol.CodeIDInvalid)
		})
	}
}

// claims: 1.4
func TestEventVectors(t *testing.T) {
	var v struct {
		About   string
		Valid   []struct{ Why, Event string }
		Invalid []struct{ Why, Event, Base64 string }
	}
	load(t, "events", &v)
	for _, c := range v.Valid {
		if err := protocol.CheckEvent(c.Event); err != nil {
			t.Errorf("%s: CheckEvent(%q): %v", c.Why, c.Event, err)
		}
	}
	for _, c := range v.Invalid {
		t.Run(c.Why, func(t *testing.T) {
			wantCode(t, protocol.CheckEvent(text(t, c.Event, c.Base64)), protocol.CodeEventInvalid)
		})
	}
}

// claims: 1.5
func TestDataVectors(t *testing.T) {
	var v struct {
		About string
		Cases []struct {
			Why, Text, Base64, Out string
			Code                   protocol.Code
			Max                    int
		}
	}
	load(t, "data", &v)
	for _, c := range v.Cases {
		t.Run(c.Why, func(t *testing.T) {
			if c.Max == 0 {
				c.Max = 65536
			}
			out, err := protocol.CheckData([]byte(text(t, c.Text, c.Base64)), c.Max)
			if c.Code != "" {
				wantCode(t, err, c.Code)
				return
			}
			if err != nil || string(out) != c.Out {
				t.Fatalf("got %s, %v, want %s", out, err, c.Out)
			}
		})
	}
}

// claims: 1.6
func TestPositionVectors(t *testing.T) {
	var v struct {
		About string
		Valid []struct {
			Position protocol.Position
			Epoch    string
			Seq      uint64 `json:",string"`
		}
		Invalid []struct {
			Why      string
			Position protocol.Position
		}
	}
	load(t, "positions", &v)
	for _, c := range v.Valid {
		epoch, seq, err := c.Position.Parse()
		if err != nil || epoch != c.Epoch || seq != c.Seq {
			t.Errorf("%q: got %q, %d, %v", c.Position, epoch, seq, err)
		}
		if got := protocol.NewPosition(c.Epoch, c.Seq); got != c.Position {
			t.Errorf("NewPosition(%q, %d) = %q, want %q", c.Epoch, c.Seq, got, c.Position)
		}
	}
	for _, c := range v.Invalid {
		t.Run(c.Why, func(t *testing.T) {
			_, _, err := c.Position.Parse()
			wantCode(t, err, protocol.CodePositionInvalid)
		})
	}
}

// claims: 8.3
func TestGrantVectors(t *testing.T) {
	type pair [2]string
	var v struct {
		About string
		Valid []struct {
			Why         string
			Grants      json.RawMessage
			Allow, Deny []pair
		}
		Invalid []struct {
			Why    string
			Grants protocol.Grants
		}
	}
	load(t, "grants", &v)
	for _, c := range v.Valid {
		t.Run("valid/"+c.Why, func(t *testing.T) {
			var g protocol.Grants
			if err := json.Unmarshal(c.Grants, &g); err != nil {
				t.Fatal(err)
			}
			if err := g.Check(); err != nil {
				t.Fatal(err)
			}
			for _, p := range c.Allow {
				if !g.Allows(protocol.Action(p[0]), protocol.Channel(p[1])) {
					t.Errorf("%v is denied", p)
				}
			}
			for _, p := range c.Deny {
				if g.Allows(protocol.Action(p[0]), protocol.Channel(p[1])) {
					t.Errorf("%v is allowed", p)
				}
			}
		})
	}
	for _, c := range v.Invalid {
		t.Run("invalid/"+c.Why, func(t *testing.T) {
			wantCode(t, c.Grants.Check(), protocol.CodeBadRequest)
		})
	}
}

func TestAllGrantsAllowEverythingKnown(t *testing.T) {
	g := protocol.AllGrants()
	if err := g.Check(); err != nil {
		t.Fatal(err)
	}
	for _, a := range []protocol.Action{protocol.Subscribe, protocol.Publish, protocol.Presence, protocol.History} {
		if !g.Allows(a, "any:channel") {
			t.Errorf("%s is denied", a)
		}
	}
	if g.Allows("admin", "any:channel") {
		t.Error("an action that does not exist is allowed")
	}
}

func TestGrantsHaveABound(t *testing.T) {
	list := make([]string, 1000)
	for i := range list {
		list[i] = "a"
	}
	if err := (protocol.Grants{History: list}).Check(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, protocol.Grants{History: append(list, "a")}.Check(), protocol.CodeBadRequest)
}

// claims: 6.4
func TestCloseVectors(t *testing.T) {
	var v struct {
		About string
		Cases []struct {
			Close              int
			Code               protocol.Code
			Client             string
			WithoutTokenSource string `json:"without_token_source"`
		}
	}
	load(t, "closes", &v)
	names := map[string]protocol.Reconnect{"backoff": protocol.ReconnectBackoff, "now": protocol.ReconnectNow, "never": protocol.ReconnectNever}
	seen := map[protocol.Code]bool{}
	for _, c := range v.Cases {
		want, ok := names[c.Client]
		if !ok {
			t.Fatalf("close %d: client %q is none of backoff, now, never", c.Close, c.Client)
		}
		if got := protocol.ReconnectFor(c.Close); got != want {
			t.Errorf("close %d: got %v, want %s", c.Close, got, c.Client)
		}
		if c.Code != "" {
			seen[c.Code] = true
			if got := protocol.NewError(c.Code).CloseCode(); got != c.Close {
				t.Errorf("%s closes with %d, want %d", c.Code, got, c.Close)
			}
		}
		if (c.WithoutTokenSource == "never") != (c.Code == protocol.CodeTokenExpired) {
			t.Errorf("close %d: only token_expired asks for a token source", c.Close)
		}
	}
	for _, code := range protocol.Codes() {
		if info, _ := code.Info(); info.Close != 0 && !seen[code] {
			t.Errorf("closes.json has no case for %s (%d)", code, info.Close)
		}
	}
}
