package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// claims: 9.2
func TestErrorsAreShownWithTheirRemedy(t *testing.T) {
	t.Chdir(t.TempDir())
	const problem = `{"type":"x","title":"x","status":403,"detail":"No\n\u001b[31mway.","code":"not_granted","remedy":"Ask.","channel":"a"}`
	for _, c := range []struct {
		status     int
		kind, body string
		want       string
	}{
		{403, "application/problem+json", problem, "fanfare: No \\u001b[31mway. (channel a) [not_granted]\nremedy: Ask.\n"},
		{502, "text/html", "<html>", "answered 502 Bad Gateway, and not as Fanfare does\nremedy: Check the address"},
		{404, "application/json", `{"error":"x"}`, "answered 404 Not Found, and not as Fanfare does"},
		{200, "text/html", "<html>", "something that is not what Fanfare answers"},
	} {
		f := newFake(t, c.status, c.kind, c.body)
		shell{}.fails(t, 1, c.want, "pub", "a", "1", "--key", "k", "--url", f.url)
	}
}

func TestUnreachable(t *testing.T) {
	t.Chdir(t.TempDir())
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, args := range [][]string{{"pub", "a", "1"}, {"sub", "a"}} {
		args = append(args, "--key", "ffs_"+strings.Repeat("k", 48), "--url", closed.URL)
		if args[0] == "sub" { // the SDK knows a mistyped key by its checksum
			args[3] = "eyJ.e.t"
		}
		shell{}.fails(t, 1, "nothing listens at "+closed.URL+"\nremedy: Start the server", args...)
	}
	for _, bad := range []string{"127.0.0.1:8080", "ftp://x", "http://", "http://me:pw@x", "http://x?a=b"} {
		if said := (shell{}).fails(t, 2, "is no server address", "pub", "a", "1", "--key", "k", "--url", bad); strings.Contains(said, "pw") {
			t.Errorf("the password is shown: %s", said)
		}
	}
}

// TestRedirectsAreNotFollowed: a POST would come out as a GET, and the key
// would go where it was not meant to.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Chdir(t.TempDir())
	f := newFake(t, 200, "application/json", "{}")
	s := httptest.NewServer(http.RedirectHandler(f.url+"/v1/messages", http.StatusMovedPermanently))
	t.Cleanup(s.Close)
	shell{}.fails(t, 1, "--url "+f.url, "pub", "a", "1", "--key", "k", "--url", s.URL)
	if _, asked := f.last(); asked != 0 {
		t.Error("the redirect was followed")
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "24h": 24 * time.Hour, "30d": 720 * time.Hour, "1h30m": 90 * time.Minute} {
		var s span
		if err := s.UnmarshalText([]byte(text)); err != nil || time.Duration(s) != want {
			t.Errorf("%s is %v (%v), want %v", text, time.Duration(s), err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "-1h", "0d", "0s", "1d2h", "1.5d", "999999d"} {
		var s span
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, time.Duration(s))
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for d, want := range map[time.Duration]string{
		90 * 24 * time.Hour: "(in 90 days)", 3 * time.Hour: "(in 3 h)", 30 * time.Second: "(in 30 s)",
		-5 * time.Minute: "(over for 5 min)",
	} {
		if got := expiry(now.Add(d), now); !strings.HasSuffix(got, want) {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
