package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// claims: 3.8 6.1 2.2 1.1 1.3 1.4 1.5 8.3
func TestBadCommands(t *testing.T) {
	s := brokertest.Start(t)
	token := makeToken(t, s, `{"user":"ann","grants":{"subscribe":["a"],"publish":["a"]}}`)
	c := ready(t, s, token)
	long := strings.Repeat("x", 201)
	for i, b := range []struct {
		line string
		code protocol.Code
	}{
		{`{`, protocol.CodeBadJSON},
		{`null`, protocol.CodeBadJSON},
		{`[{"type":"ping"}]`, protocol.CodeBadJSON},
		{`{"type":"dance","ref":%d}`, protocol.CodeUnknownCommand},
		{`{"ref":%d}`, protocol.CodeUnknownCommand},
		{`{"type":"subscribe","ref":-1,"channel":"a"}`, protocol.CodeRefInvalid},
		{`{"type":"subscribe","ref":%d}`, protocol.CodeChannelInvalid},
		{`{"type":"subscribe","ref":%d,"channel":"a\u0000"}`, protocol.CodeChannelInvalid},
		{`{"type":"subscribe","ref":%d,"channel":5}`, protocol.CodeBadRequest},
		{`{"type":"subscribe","ref":%d,"channel":"b"}`, protocol.CodeNotGranted},
		{`{"type":"publish","ref":%d,"channel":"b","data":1}`, protocol.CodeNotGranted},
		{`{"type":"publish","ref":%d,"channel":"a"}`, protocol.CodeDataMissing},
		{`{"type":"publish","ref":%d,"channel":"a","data":1,"id":"a b"}`, protocol.CodeIDInvalid},
		{`{"type":"publish","ref":%d,"channel":"a","data":1,"event":"` + long + `"}`, protocol.CodeEventInvalid},
		{`{"type":"publish","ref":%d,"channel":"a","data":"` + strings.Repeat("x", 65536) + `"}`, protocol.CodeMessageTooLarge},
		{`{"type":"auth","ref":%d}`, protocol.CodeCredentialMissing},
		{`{"type":"auth","ref":%d,"token":"x.y.z"}`, protocol.CodeTokenInvalid},
	} {
		ref := i + 10
		line := b.line
		if strings.Contains(line, "%d") {
			line = fmt.Sprintf(line, ref)
		} else {
			ref = 0
		}
		c.send("%s", line)
		if f := c.want(protocol.TypeError, b.code); f.Ref != int64(ref) {
			t.Errorf("%.60s: answered ref %d in %.200s", line, f.Ref, f.raw)
		}
	}
	c.send(`{"type":"ping","ref":99}`)
	c.want(protocol.TypePong, "") // it lives on

	for range 30 {
		c.send(`nonsense`)
	}
	for f := c.next(); ; f = c.next() {
		if f.Type == protocol.TypeClose {
			if f.Code != protocol.CodeTooManyErrors {
				t.Errorf("got %s", f.raw)
			}
			return
		}
		if f.Code != protocol.CodeBadJSON {
			t.Fatalf("got %s", f.raw)
		}
	}
}

// claims: 2.2 2.6
func TestFramesThatEndTheConnection(t *testing.T) {
	s := brokertest.Start(t)
	c := ready(t, s, s.SecretKey)
	if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.ended(protocol.CodeBinaryFrame)

	c = ready(t, s, s.SecretKey)
	c.send(`{"type":"publish","channel":"a","data":"%s"}`, strings.Repeat("x", 65536+4096))
	c.ended(protocol.CodeFrameTooLarge)

	c = dialWS(t, s, "")
	c.send(`{"type":"hello","token":"%s"}`, strings.Repeat("x", 20<<10))
	c.ended(protocol.CodeFrameTooLarge)

	c = ready(t, s, s.SecretKey) // exactly the limit is allowed
	data := `"` + strings.Repeat("x", 65534) + `"`
	c.send(`{"type":"publish","ref":2,"channel":"a","data":%s}`, data)
	c.want(protocol.TypePublished, "")
}
