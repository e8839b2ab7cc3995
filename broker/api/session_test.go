package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// signIn redeems a link as a browser does, and is the cookie that comes back.
func (w *world) signIn(t *testing.T, header map[string]string) *http.Cookie {
	t.Helper()
	var out struct{ Expires time.Time }
	got := w.send(request{method: "POST", path: "/v1/session", body: `{"code":"` + w.link() + `"}`, header: header})
	accepted(t, got, 201, &out)
	if left := time.Until(out.Expires); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the session ends in %s, want 12 h", left)
	}
	c, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	must(t, err)
	if strings.Contains(got.body, c.Value) {
		t.Error("scripts can read the session in the body")
	}
	return c
}

// claims: 9.6
func TestSession(t *testing.T) {
	w := newWorld(t)
	c := w.signIn(t, nil)
	if c.Name != "fanfare_session" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge < 11*3600 {
		t.Errorf("cookie %+v", c)
	}
	if c := w.signIn(t, map[string]string{"X-Forwarded-Proto": "https"}); !c.Secure {
		t.Error("not Secure behind TLS")
	}
	as := func(extra ...string) map[string]string {
		h := map[string]string{"Cookie": c.Name + "=" + c.Value}
		for i := 0; i < len(extra); i += 2 {
			h[extra[i]] = extra[i+1]
		}
		return h
	}
	var a tenant.Account
	accepted(t, w.send(request{method: "GET", path: "/v1/account", header: as()}), 200, &a)
	if a.ID != w.account {
		t.Errorf("account %s, want %s", a.ID, w.account)
	}
	accepted(t, w.send(request{method: "POST", path: "/v1/apps", header: as("Sec-Fetch-Site", "same-origin"), body: `{"name":"by hand"}`}), 201, nil)

	t.Run("other sites", func(t *testing.T) {
		for _, h := range []map[string]string{as("Sec-Fetch-Site", "cross-site"), as("Sec-Fetch-Site", "same-site"), as("Origin", "https://evil.example")} {
			refused(t, w.send(request{method: "POST", path: "/v1/apps", header: h, body: `{"name":"forged"}`}), protocol.CodeOriginNotAllowed)
			refused(t, w.send(request{method: "DELETE", path: "/v1/session", header: h}), protocol.CodeOriginNotAllowed)
			h["Cookie"] = ""
			refused(t, w.send(request{method: "POST", path: "/v1/session", header: h, body: `{"code":"` + w.link() + `"}`}), protocol.CodeOriginNotAllowed)
			// A token is not sent along by itself, so it may come from anywhere.
			accepted(t, w.send(request{method: "GET", path: "/v1/apps", as: w.accountToken, header: h}), 200, nil)
		}
	})
	t.Run("only administration", func(t *testing.T) {
		for _, path := range []string{"/v1/messages", "/v1/tickets", "/v1/tokens", "/v1/links"} {
			refused(t, w.send(request{method: "POST", path: path, header: as(), body: `{}`}), protocol.CodeCredentialMissing)
		}
		refused(t, w.send(request{method: "GET", path: "/v1/apps", as: c.Value}), protocol.CodeKeyInvalid)
	})
	t.Run("sign out", func(t *testing.T) {
		got := w.send(request{method: "DELETE", path: "/v1/session", header: as("Sec-Fetch-Site", "same-origin")})
		accepted(t, got, 204, nil)
		if gone, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || gone.MaxAge >= 0 || gone.Value != "" {
			t.Errorf("the cookie stays: %v, %v", gone, err)
		}
		if got := w.send(request{method: "GET", path: "/v1/account", header: as()}); got.status != 401 {
			t.Errorf("the session lives on: %d", got.status)
		}
	})
	if strings.Contains(w.logs.String(), c.Value) {
		t.Error("the session is in the log")
	}
}

func TestLinks(t *testing.T) {
	w := newWorld(t)
	var link struct {
		Code    string
		Expires time.Time
	}
	accepted(t, w.send(request{method: "POST", path: "/v1/links", as: w.accountToken}), 201, &link)
	if left := time.Until(link.Expires); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("the link ends in %s, want 15 min", left)
	}
	body := `{"code":"` + link.Code + `"}`
	accepted(t, w.send(request{method: "POST", path: "/v1/session", body: body}), 201, nil)
	refused(t, w.send(request{method: "POST", path: "/v1/session", body: body}), protocol.CodeLinkInvalid)
	refused(t, w.send(request{method: "POST", path: "/v1/session", body: `{"code":"made up"}`}), protocol.CodeLinkInvalid)
	if strings.Contains(w.logs.String(), link.Code) {
		t.Error("the code is in the log")
	}
}
