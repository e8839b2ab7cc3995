package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/dashboard"
)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	dashboard.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandlerServesThePage(t *testing.T) {
	for path, kind := range map[string]string{
		"/dashboard/":           "text/html; charset=utf-8",
		"/dashboard/index.html": "text/html; charset=utf-8",
		"/dashboard/app.js":     "text/javascript; charset=utf-8",
		"/dashboard/app.css":    "text/css; charset=utf-8",
		"/dashboard/icon.svg":   "image/svg+xml",
	} {
		res := get(t, "GET", path)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind {
			t.Errorf("GET %s: %d %s, want 200 %s", path, res.StatusCode, res.Header.Get("Content-Type"), kind)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("GET %s: Cache-Control %q", path, got)
		}
		etag := res.Header.Get("ETag")
		if etag == "" {
			t.Errorf("GET %s has no ETag", path)
		}
		if again := get(t, "GET", path, "If-None-Match", etag); again.StatusCode != 304 {
			t.Errorf("GET %s with its ETag: %d, want 304", path, again.StatusCode)
		}
		if other := get(t, "GET", path, "If-None-Match", `"other"`); other.StatusCode != 200 {
			t.Errorf("GET %s with another ETag: %d, want 200", path, other.StatusCode)
		}
	}
}

func TestHandlerRefuses(t *testing.T) {
	for _, path := range []string{"/dashboard/nothing", "/dashboard/../dashboard.go", "/dashboard/dist/app.js", "/dashboard/src/main.ts"} {
		if res := get(t, "GET", path); res.StatusCode != 404 {
			t.Errorf("GET %s: %d, want 404", path, res.StatusCode)
		}
	}
	res := get(t, "POST", "/dashboard/")
	if res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q; want 405 and GET, HEAD", res.StatusCode, res.Header.Get("Allow"))
	}
}

func TestHandlerSendsToTheFolder(t *testing.T) {
	res := get(t, "GET", "/dashboard")
	if res.StatusCode != 308 || res.Header.Get("Location") != "dashboard/" {
		t.Errorf("GET /dashboard: %d to %q, want 308 to dashboard/", res.StatusCode, res.Header.Get("Location"))
	}
}

// TestPolicyIsStrict shows that every answer, errors too, forbids what the page
// does not need.
func TestPolicyIsStrict(t *testing.T) {
	for _, path := range []string{"/dashboard/", "/dashboard/app.js", "/dashboard/nothing"} {
		res := get(t, "GET", path)
		policy := res.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %q", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy %q is loose", path, policy)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: a header for safety is missing: %v", path, res.Header)
		}
	}
}
