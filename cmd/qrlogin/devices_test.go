package main

import (
	"net/url"
	"strings"
	"testing"
)

// TestDeviceSignsIn is RFC 8628 against the real program: a television gets a
// token, which is a device of the account and ends as one.
func TestDeviceSignsIn(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--devices", "tv=Living room TV")
	tv, phone := p.agent(), p.phoneOf("ada")
	if g := tv.want(200, "GET", "/.well-known/oauth-authorization-server", nil); g.str("token_endpoint") != p.url+"/oidc/token" {
		t.Errorf("%s", g.text)
	}
	begun := tv.want(200, "POST", "/qr/oauth/device_authorization", url.Values{"client_id": {"tv"}})
	if begun.status != 200 || begun.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", begun.header)
	}
	asked := phone.want(200, "POST", "/qr/scan", map[string]string{"user_code": begun.str("user_code")})
	if asked.str("user_code") != begun.str("user_code") || asked.str("session_label") != "Living room TV" {
		t.Errorf("the phone is told %s", asked.text)
	}
	if g := phone.decide(asked.str("attempt_id"), "approve", asked.str("decision_nonce")); g.str("state") != "approved" {
		t.Fatalf("approve: %s", g.text)
	}
	grant := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"tv"}, "device_code": {begun.str("device_code")}}
	token := tv.want(200, "POST", "/qr/oauth/token", grant).str("access_token")
	tv.header.Set("Authorization", "Bearer "+token)
	if g := tv.want(200, "GET", "/userinfo", nil); g.str("sub") != "ada" {
		t.Errorf("%s", g.text)
	}
	thief := p.agent()
	thief.cookies["session"] = token
	thief.want(401, "GET", "/account/devices", nil) // a token is no cookie
	thief.header.Set("Authorization", "Bearer "+phone.cookies["session"])
	thief.want(401, "GET", "/userinfo", nil) // nor a cookie a token
	html := phone.want(200, "GET", "/account/devices", nil).text
	_, rest, ok := strings.Cut(html, "Living room TV")
	_, rest, _ = strings.Cut(rest, "/account/devices/")
	id, _, _ := strings.Cut(rest, "/end")
	if !ok || len(id) != 26 {
		t.Fatalf("the devices: %s", html)
	}
	phone.want(303, "POST", "/account/devices/"+id+"/end", url.Values{})
	tv.want(401, "GET", "/userinfo", nil)
	if strings.Contains(p.log.String(), token) || strings.Contains(p.log.String(), begun.str("device_code")) {
		t.Error("the log holds a secret")
	}
}
