package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func FuzzDecodeCommand(f *testing.F) {
	var v struct {
		About string
		Cases []struct {
			Why, Line, Base64 string
			Command           json.RawMessage
			Code              protocol.Code
			Ref               int64
		}
	}
	load(f, "commands", &v)
	for _, c := range v.Cases {
		f.Add([]byte(text(f, c.Line, c.Base64)))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		cmd, err := protocol.DecodeCommand(line)
		if !bytes.Equal(before, line) {
			t.Fatal("the line was changed")
		}
		if cmd.Ref < 0 || cmd.Ref > protocol.MaxRef {
			t.Fatalf("ref %d is out of range", cmd.Ref)
		}
		if err != nil {
			if _, ok := errors.AsType[*protocol.Error](err); !ok {
				t.Fatalf("%T is no *protocol.Error", err)
			}
			return
		}
		if !json.Valid(line) || !utf8.Valid(line) {
			t.Fatal("accepted what is no JSON in UTF-8")
		}
		if cmd.Channel != "" && (cmd.Type == protocol.TypeSubscribe || cmd.Type == protocol.TypePublish) {
			if _, err := protocol.ParseChannel(string(cmd.Channel)); err != nil {
				t.Fatalf("accepted channel %q", cmd.Channel)
			}
		}
		again, err := protocol.DecodeCommand(marshal(t, cmd))
		if err != nil {
			t.Fatalf("%s: its own form is refused: %v", line, err)
		}
		cmd.Data, again.Data = compact(t, cmd.Data), compact(t, again.Data)
		if diff := cmp.Diff(cmd, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// compact is data without white space and with HTML escaped, as json.Marshal
// writes a RawMessage.
func compact(t testing.TB, data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return nil
	}
	return marshal(t, data)
}

func FuzzPositionParse(f *testing.F) {
	for _, s := range []string{"", "e:0", "e:18446744073709551615", "e:01", "a:b:1", "e:+1", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		epoch, seq, err := protocol.Position(s).Parse()
		if err != nil {
			wantCode(t, err, protocol.CodePositionInvalid)
			return
		}
		if got := protocol.NewPosition(epoch, seq); string(got) != s {
			t.Fatalf("%q reads as %q and %d, which is %q", s, epoch, seq, got)
		}
	})
}

func FuzzParseChannel(f *testing.F) {
	for _, s := range []string{"", "orders:42", "a\n", "\xff", "é", "\u2028", "\u0085", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ch, err := protocol.ParseChannel(s)
		if err != nil {
			wantCode(t, err, protocol.CodeChannelInvalid)
			return
		}
		if string(ch) != s || s == "" || len(s) > protocol.MaxChannelBytes || !utf8.ValidString(s) {
			t.Fatalf("accepted %q as %q", s, ch)
		}
		for _, r := range s {
			if r < 0x20 || (r >= 0x7f && r <= 0x9f) || r == 0x2028 || r == 0x2029 {
				t.Fatalf("accepted %q with %U", s, r)
			}
		}
		if ns := ch.Namespace(); ns != "" && s[:len(ns)+1] != ns+":" {
			t.Fatalf("%q has namespace %q", s, ns)
		}
	})
}

func FuzzCheckData(f *testing.F) {
	for _, s := range []string{"", "null", "{\n}", "\"\xff\"", `{"a":[1,2.50,"<"]}`, "1 2", "[\r\n1]", `"\u2028"`} {
		f.Add([]byte(s), 100)
	}
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		before := bytes.Clone(data)
		out, err := protocol.CheckData(data, limit)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if _, ok := errors.AsType[*protocol.Error](err); !ok {
				t.Fatalf("%T is no *protocol.Error", err)
			}
			return
		}
		if len(out) == 0 || len(out) > len(data) || len(data) > limit || !utf8.Valid(out) || !json.Valid(out) {
			t.Fatalf("%q became %q with limit %d", data, out, limit)
		}
		if bytes.ContainsAny(out, "\r\n") {
			t.Fatalf("%q would break a line", out)
		}
		var a, b bytes.Buffer
		if json.Compact(&a, data) != nil || json.Compact(&b, out) != nil || a.String() != b.String() {
			t.Fatalf("%q became %q, which is more than white space", data, out)
		}
	})
}

// What AppendBody and AppendFrame write, encoding/json reads back as the same
// message, and as one line.
func FuzzFrame(f *testing.F) {
	f.Add("orders:42", "i1", int64(1764000000000), "paid", "u1", []byte(`{"a":1}`), "e:1", "e:0")
	f.Add(`"\<>&`, "", int64(-1), "\x7f", "é\u2028", []byte(`"\n"`), "", "")
	f.Fuzz(func(t *testing.T, channel, id string, at int64, event, user string, data []byte, position, previous string) {
		for _, s := range []string{channel, id, event, user, position, previous} {
			if !utf8.ValidString(s) {
				return // every door refuses these
			}
		}
		data, err := protocol.CheckData(data, 1<<16)
		if err != nil || bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) >= 10_000 {
			return // encoding/json refuses to nest more deeply, and the frame is one level more
		}
		m := protocol.Message{
			Type: protocol.TypeMessage, Channel: protocol.Channel(channel), ID: id, Time: at, Event: event, User: user,
			Data: data, Position: protocol.Position(position), Previous: protocol.Position(previous),
		}
		frame := protocol.AppendFrame(nil, m.AppendBody(nil), m.Position, m.Previous)
		if bytes.ContainsAny(frame, "\r\n") {
			t.Fatalf("%q would break a line", frame)
		}
		var got protocol.Message
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		m.Data = bytes.TrimSpace(m.Data) // a RawMessage is read without the spaces around it
		if diff := cmp.Diff(m, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
