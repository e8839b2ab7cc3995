package bench

import (
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		text, body string
		status     int
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 200},
		{"HTTP/1.1 429 Too Many\r\ncontent-length:3\r\nX: y\r\n\r\n{ }", "{ }", 429},
		{"HTTP/1.1 204 No Content\r\n\r\n", "", 204},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", 200},
	} {
		status, body, size, err := readAnswer([]byte(c.text + "HTTP/1.1 "))
		if err != nil || status != c.status || string(body) != c.body || size != len(c.text) {
			t.Errorf("%q: %d %q, size %d of %d, %v", c.text, status, body, size, len(c.text), err)
		}
		for cut := range len(c.text) {
			if _, _, size, err := readAnswer([]byte(c.text[:cut])); err != nil || size != 0 {
				t.Errorf("%q cut to %d: size %d, %v", c.text, cut, size, err)
			}
		}
	}
	for _, bad := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", strings.Repeat("x", 70_000),
	} {
		if _, _, size, err := readAnswer([]byte(bad)); err == nil {
			t.Errorf("%.40q: no error, size %d", bad, size)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		status, body, size, err := readAnswer(b)
		if size < 0 || size > len(b) || len(body) > size || err != nil && size != 0 {
			t.Fatalf("size %d of %d, body %d, %v", size, len(b), len(body), err)
		}
		if size > 0 {
			// Nothing that follows changes it.
			again, _, n, err := readAnswer(append(b[:size:size], "HTTP"...))
			if again != status || n != size || err != nil {
				t.Fatalf("with what follows it is %d, size %d, %v", again, n, err)
			}
		}
	})
}
