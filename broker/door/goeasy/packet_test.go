package goeasy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecodeCall(t *testing.T) {
	for _, tc := range []struct {
		text string
		want string // kind, namespace, ack, event, body; "" is refused
	}{
		{`20["publish",{"channel":"c"}]`, `2||0|publish|{"channel":"c"}`},
		{`2["ack",{"i":"x"}]`, `2||-1|ack|{"i":"x"}`},
		{`217["history"]`, `2||17|history|`},
		{`2/admin,3["x",1,2]`, `2|admin|3|x|1`},
		{`0`, `0||-1||`}, {`0/admin`, `0|admin|-1||`}, {`1`, `1||-1||`}, {`35[]`, `3||5||`},
		{`29007199254740991["x"]`, `2||9007199254740991|x|`},
		{``, ``}, {`2`, ``}, {`2[]`, ``}, {`2["x"`, ``}, {`2[1]`, ``}, {`2[null]`, ``}, {`2{}`, ``}, {`3[]`, ``},
		{`5["x"]`, ``}, {`61-["x"]`, ``}, {`4"error"`, ``}, {`9["x"]`, ``}, {"2[\"\xff\"]", ``},
		{`29007199254740992["x"]`, ``}, {`299999999999999999999["x"]`, ``}, {`2/` + strings.Repeat("n", 100) + `,["x"]`, ``},
	} {
		c, err := decodeCall([]byte(tc.text))
		got := fmt.Sprintf("%c|%s|%d|%s|%s", c.kind, c.space, c.ack, c.event, c.body)
		if err != nil {
			got = ""
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestPayload(t *testing.T) {
	// As engine.io-parser 2.1 writes and reads them: lengths are UTF-16 units.
	for _, tc := range []struct{ body, want string }{
		{`6:4hello`, `4hello`}, {`1:2`, `2`}, {`2:40`, `40`}, {`2:402:40`, `40 40`}, {`2:4€`, `4€`}, {`3:4😀2:4é`, `4😀 4é`}, {`7:3probe1`, `3probe1`},
		{``, ``}, {`4hello`, ``}, {`:4`, ``}, {`0:`, ``}, {`7:4hello`, ``}, {`2:4😀`, ``}, {`x:4`, ``}, {`9999999999:4`, ``}, {`-1:4`, ``}, {`6:4hello5`, ``}, {"2:4\xff", ``},
		{strings.Repeat("1:2", maxPackets+1), ``},
	} {
		all, err := decodePayload([]byte(tc.body))
		if got := string(bytes.Join(all, []byte(" "))); (err != nil) != (tc.want == "") || err == nil && got != tc.want {
			t.Errorf("%.40q: got %q, %v, want %q", tc.body, got, err, tc.want)
		}
	}
	if got := appendPayload(appendPayload(nil, []byte(`4😀`)), []byte(`2`)); string(got) != `3:4😀1:2` {
		t.Errorf("got %q", got)
	}
	if got := formBody([]byte(`d=` + `8%3A4a%5C%5Cnb%5Cnc`)); string(got) != "8:4a\\nb\nc" {
		t.Errorf("a form's body is %q", got)
	}
}

func TestStrictJSON(t *testing.T) {
	for _, tc := range []struct{ text, want string }{ // want "": no JSON comes of it
		{`{"a":"b"}`, `{"a":"b"}`},
		{`{appkey:'BC-1', channel:"c", content:'Hello, "GoEasy"!'}`, `{"appkey":"BC-1","channel":"c","content":"Hello, \"GoEasy\"!"}`},
		{"{\n 'appkey' : 'k',\n content: 'it\\'s' ,\n qos: 1,\n}", `{"appkey":"k","content":"it's","qos":1}`},
		{`{a: true, b: null, c: -1.5e+3, notification: {title: 't', list: [1,2,],},}`, `{"a":true,"b":null,"c":-1.5e+3,"notification":{"title":"t","list":[1,2]}}`},
		{`{"u":"\u0041\\"}`, `{"u":"\u0041\\"}`},
		{`{a:'}'}`, `{"a":"}"}`}, {`{a:',]'}`, `{"a":",]"}`},
		{`{,}`, ``}, {`{a:}`, ``}, {`{a:'b}`, ``}, {`{a:b}`, ``}, {`[,]`, ``}, {`{a b:1}`, ``}, {``, ``}, {"{a:'\xff'}", ``}, {`{a:1,,}`, ``},
	} {
		out, err := strictJSON([]byte(tc.text))
		var got bytes.Buffer
		if err == nil {
			err = json.Compact(&got, out)
		}
		if err != nil {
			got.Reset()
		}
		if got.String() != tc.want {
			t.Errorf("%s: got %s, want %s", tc.text, got.String(), tc.want)
		}
	}
}

func FuzzDecodeCall(f *testing.F) {
	for _, seed := range []string{`20["publish",{"channel":"c"}]`, `2/a,1["x"]`, `35[]`, `0`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCall(text)
		if err != nil {
			return
		}
		if c.kind == kindEvent && c.body != nil && !json.Valid(c.body) {
			t.Errorf("the body is no JSON: %q", c.body)
		}
		if c.ack > maxAckID {
			t.Errorf("the answer's number is %d", c.ack)
		}
	})
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{`6:4hello`, `3:4😀2:4é`, `0:`, `99:4`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := decodePayload(body)
		if err != nil {
			return
		}
		var again []byte
		for _, packet := range all {
			if len(packet) == 0 || !utf8.Valid(packet) {
				t.Fatalf("a packet is %q", packet)
			}
			again = appendPayload(again, packet)
		}
		back, err := decodePayload(again)
		if err != nil || len(back) != len(all) {
			t.Fatalf("%q became %q, which is %v, %v", body, again, back, err)
		}
	})
}

func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{`{a:'b',}`, `{"a":[1,2]}`, `{'a':"\'"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := strictJSON(text)
		if err != nil {
			return
		}
		if len(out) > 6*len(text)+16 {
			t.Errorf("%d bytes became %d", len(text), len(out))
		}
		if json.Valid(text) && utf8.Valid(text) {
			var a, b any
			if json.Unmarshal(text, &a) != nil || json.Unmarshal(out, &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("%s became %s", text, out)
			}
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add("a:1.0000abcd")
	f.Fuzz(func(t *testing.T, s string) {
		p, of, ok := readReceipt(s)
		if _, _, err := p.Parse(); ok && err != nil {
			t.Errorf("%q is %q of %d", s, p, of)
		}
	})
}

// The vector is of GoEasy's documentation.
func TestOTP(t *testing.T) {
	made, err := readOTP("86726e4356dce2d3", "+rOKqbTZioistsdMrhon0A==")
	if err != nil || made.UnixMilli() != 1490325990593 {
		t.Errorf("made at %v, %v", made, err)
	}
	for _, tc := range []struct{ secret, otp string }{
		{"86726e4356dce2d4", "+rOKqbTZioistsdMrhon0A=="}, {"86726e4356dce2d3", "+rOKqbTZioistsdMrhon0A"}, {"86726e4356dce2d3", ""},
		{"86726e4356dce2d3", "AAAA"}, {"short", "+rOKqbTZioistsdMrhon0A=="}, {"86726e4356dce2d3", "+rOKqbTZioistsdMrhon1A=="},
	} {
		if made, err := readOTP(tc.secret, tc.otp); err == nil {
			t.Errorf("%v is an OTP of %v", tc, made)
		}
	}
}
