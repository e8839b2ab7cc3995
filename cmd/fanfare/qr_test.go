package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/cmd/fanfare/qraudit"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// quiet is a Fanfare that nobody listens to.
type quiet struct{}

func (quiet) Publish(context.Context, string, any, ...fanfare.PublishOption) (protocol.Published, error) {
	return protocol.Published{}, nil
}

func (quiet) Token(string, protocol.Grants, time.Duration) (string, error) { return "token", nil }

// TestQRAudit is the command; what the checks find is tested beside them.
func TestQRAudit(t *testing.T) {
	t.Chdir(t.TempDir())
	var framed bool
	var qr http.Handler
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if framed {
			w = lax{w}
		}
		qr.ServeHTTP(w, r)
	}))
	defer site.Close()
	var err error
	if qr, err = qrlogin.New(qrlogin.Options{
		Fanfare: quiet{}, PublicURL: site.URL, Logger: slog.New(slog.DiscardHandler),
		PhoneUser: func(*http.Request) (qrlogin.User, error) { return qrlogin.User{}, qrlogin.ErrNotSignedIn },
		OnLogin:   func(http.ResponseWriter, *http.Request, qrlogin.Login) error { return nil },
	}); err != nil {
		t.Fatal(err)
	}
	args := []string{"qr", "audit", site.URL, "--pace", "0s", "--only", "deploy-framing,F6-leaks,F2-reuse"}
	out := shell{}.ok(t, args...)
	for _, want := range []string{"✓ deploy-framing", "✓ F6-leaks", "– F2-reuse", "not tried: needs a test account", "2 passed, 0 failed, 1 not tried"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("colours where no terminal is:\n%q", out)
	}
	framed = true
	r := shell{}.run(t, args...)
	if r.status != 1 || !strings.Contains(r.out, "✗ deploy-framing") || !strings.Contains(r.out, "→ Leave the library's headers") || r.stderr != "" {
		t.Errorf("a broken site: %+v", r)
	}
	r = shell{}.run(t, append(args, "--json")...)
	var report qraudit.Report
	fromJSON(t, r.out, &report)
	if r.status != 1 || report.OK || report.Count(qraudit.Fail) != 1 || report.Count(qraudit.Pass) != 1 || report.URL != site.URL || report.Requests == 0 {
		t.Errorf("as JSON: %d %+v", r.status, report)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	shell{}.fails(t, 1, "no QR login of Fanfare answers there", "qr", "audit", other.URL, "--pace", "0s")
	shell{}.fails(t, 2, `there is no check "F9"`, "qr", "audit", site.URL, "--only", "F9")
	shell{}.fails(t, 2, "is no site's URL", "qr", "audit", "https://me:pw@id.example.com")
	if help := (shell{}).ok(t, "qr", "audit", "--help"); !strings.Contains(help, "FANFARE_QR_PHONE") {
		t.Errorf("its help:\n%s", help)
	}
}

// lax lets pages be framed.
type lax struct{ http.ResponseWriter }

func (l lax) WriteHeader(status int) {
	l.Header().Del("X-Frame-Options")
	l.ResponseWriter.WriteHeader(status)
}

func (l lax) Write(b []byte) (int, error) {
	l.Header().Del("X-Frame-Options")
	return l.ResponseWriter.Write(b)
}
