package bus

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/sdk/protocol"
	"pgregory.net/rapid"
)

func apps() *rapid.Generator[protocol.AppID] {
	return rapid.Custom(func(t *rapid.T) protocol.AppID {
		return protocol.AppID(rapid.StringMatching(`[a-z0-9]{10}`).Draw(t, "app"))
	})
}

// names draws channel names with an eye on what NATS gives a meaning, on our
// own escapes, and on both sides of the length where hashing begins.
func names() *rapid.Generator[protocol.Channel] {
	nasty := rapid.SliceOfN(rapid.SampledFrom([]string{
		".", "*", ">", " ", "\t", "\r\n", "\x00", "=", "=2E", "~", "$", "$SYS", "_INBOX", "e.00.app.c", "a", "Z", "9", "_", "-", ":", "日本", "\u2028", "\u00a0", "é", "e\u0301",
	}), 1, 60)
	return rapid.Custom(func(t *rapid.T) protocol.Channel {
		var s string
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			s = strings.Join(nasty.Draw(t, "parts"), "")
		case 1:
			s = rapid.StringN(1, -1, 200).Draw(t, "any")
		default:
			s = rapid.StringMatching(`[a-z~=.]{1,130}`).Draw(t, "long")
		}
		return protocol.Channel(s)
	})
}

func body(ch protocol.Channel) []byte {
	m := protocol.Message{Channel: ch, ID: "1", Data: []byte(`{"channel":"other"}`)}
	return m.AppendBody(nil)
}

// read is the receiving side: the app and channel of a subject.
func read(subject string, body []byte) (protocol.AppID, protocol.Channel, error) {
	app, token, hashed, err := parseSubject(ephemeralPrefix, subject)
	if err != nil {
		return "", "", err
	}
	ch, err := channelOf(token, hashed, body)
	return app, ch, err
}

// checkSafe wants four tokens, each of letters that have no meaning to NATS.
func checkSafe(t interface{ Fatalf(string, ...any) }, subject string, app protocol.AppID) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 || tokens[0] != "e" || len(tokens[1]) != 2 || tokens[2] != string(app) {
		t.Fatalf("subject %q of app %q", subject, app)
	}
	if len(tokens[3]) == 0 || len(tokens[3]) > 120 {
		t.Fatalf("token of %d bytes in %q", len(tokens[3]), subject)
	}
	for _, r := range tokens[3] {
		if r > 126 || !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=~", r) {
			t.Fatalf("%q in subject %q", r, subject)
		}
	}
}

func TestSubjectRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app, ch := apps().Draw(t, "app"), names().Draw(t, "channel")
		subject, err := subjectOf(ephemeralPrefix, app, ch)
		if err != nil {
			t.Fatal(err)
		}
		checkSafe(t, subject, app)
		gotApp, gotCh, err := read(subject, body(ch))
		if err != nil || gotApp != app || gotCh != ch {
			t.Fatalf("%q in %q came back as %q in %q, %v", ch, app, gotCh, gotApp, err)
		}
	})
}

func TestSubjectsOfTwoChannelsDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := apps().Draw(t, "a"), apps().Draw(t, "b")
		x, y := names().Draw(t, "x"), names().Draw(t, "y")
		if rapid.Bool().Draw(t, "one app") {
			b = a
		} else if rapid.Bool().Draw(t, "one channel") {
			y = x
		}
		if a == b && x == y {
			return
		}
		s, err := subjectOf(ephemeralPrefix, a, x)
		if err != nil {
			t.Fatal(err)
		}
		u, err := subjectOf(ephemeralPrefix, b, y)
		if err != nil {
			t.Fatal(err)
		}
		if s == u {
			t.Fatalf("%q in %q and %q in %q share the subject %q", x, a, y, b, s)
		}
		if got, _, _ := read(u, body(y)); a != b && got == a {
			t.Fatalf("%q of %q was read as one of %q", u, b, a)
		}
	})
}

func TestSubjectRefusesBadApps(t *testing.T) {
	for _, app := range []protocol.AppID{"", "a.b", "*", ">", "a b", "a\r\nPUB x 0", "é", "=2E", "~a", protocol.AppID(strings.Repeat("a", 65))} {
		if s, err := subjectOf(ephemeralPrefix, app, "c"); err == nil {
			t.Errorf("app %q has the subject %q", app, s)
		}
	}
	if s, err := subjectOf(ephemeralPrefix, "app", ""); err == nil {
		t.Errorf("the empty channel has the subject %q", s)
	}
}

func TestReadRefusesOtherSpellings(t *testing.T) {
	long := protocol.Channel(strings.Repeat("x", 200))
	hashed, err := subjectOf(ephemeralPrefix, "app", long)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(hashed, body(long+"y")); err == nil {
		t.Error("a hashed subject was read with another channel's body")
	}
	if _, _, err := read(hashed, []byte("{")); err == nil {
		t.Error("a hashed subject was read with a broken body")
	}
	for _, s := range []string{
		"", "e", "e.", "e.00", "e.00.app", "e.00.app.", "e.00..c", "e.0.app.c", "e.000.app.c", "x.00.app.c", "e.00.app.c.d",
		"e.00.app.=61", "e.00.app.=2e", "e.00.app.=2", "e.00.app.=", "e.00.app.a=GG", "e.00.app.a*", "e.00.app.~", "e.00.app.é",
		"e.00.app." + strings.Repeat("a", 121), "e.00.a=2E.c",
	} {
		if app, ch, err := read(s, body("a")); err == nil {
			t.Errorf("%q was read as %q in %q", s, ch, app)
		}
	}
}

func FuzzSubjectOf(f *testing.F) {
	f.Add("a", "b")
	f.Add("orders.*.>", "e.00.app.c")
	f.Add("~0123", "=7E0123")
	f.Add(strings.Repeat("日", 40), strings.Repeat("x", 121))
	f.Fuzz(func(t *testing.T, x, y string) {
		if x == "" || y == "" {
			return
		}
		s, err := subjectOf(ephemeralPrefix, "app0000001", protocol.Channel(x))
		if err != nil {
			t.Fatal(err)
		}
		checkSafe(t, s, "app0000001")
		if utf8.ValidString(x) {
			if _, ch, err := read(s, body(protocol.Channel(x))); err != nil || string(ch) != x {
				t.Fatalf("%q came back as %q, %v", x, ch, err)
			}
		}
		if u, err := subjectOf(ephemeralPrefix, "app0000001", protocol.Channel(y)); err != nil || (s == u) != (x == y) {
			t.Fatalf("%q and %q: subjects %q, %q, %v", x, y, s, u, err)
		}
	})
}

// FuzzReadSubject: whatever is read without an error is what subjectOf writes,
// but for the bucket, which nobody reads.
func FuzzReadSubject(f *testing.F) {
	f.Add("e.00.app.=2Ea", "")
	f.Add("e.ff.app.~AAAAAAAAAAAAAAAAAAAAAAAAAAA", `{"channel":"x"}`)
	f.Fuzz(func(t *testing.T, subject, body string) {
		app, ch, err := read(subject, []byte(body))
		if err != nil {
			return
		}
		want, err := subjectOf(ephemeralPrefix, app, ch)
		if err != nil || want[4:] != subject[4:] {
			t.Fatalf("%q was read as %q in %q, whose subject is %q, %v", subject, ch, app, want, err)
		}
	})
}

func TestBucketsAreUsedEvenly(t *testing.T) {
	var n [256]int
	for i := range 256 * 100 {
		n[bucketOf("demo000000", protocol.Channel("orders:"+strings.Repeat("x", i%7)+string(rune('0'+i%10))+string(rune(0x4e00+i/10))))]++
	}
	for b, c := range n {
		if c < 40 || c > 250 {
			t.Errorf("bucket %02x has %d of 25,600 channels; 100 would be even", b, c)
		}
	}
}

func BenchmarkSubjectOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := subjectOf(ephemeralPrefix, "demo000000", "chat:eu:room-42"); err != nil {
			b.Fatal(err)
		}
	}
}
