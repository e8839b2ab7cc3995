package main

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// register runs qrlogin client, and returns what it printed.
func register(t *testing.T, file string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := clientCommand(append([]string{args[0], "--clients", file}, args[1:]...), func(string) string { return "" }, &out, io.Discard); err != nil {
		t.Fatalf("client %q: %v", args, err)
	}
	return out.String()
}

func TestClientCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "clients.json")
	said := register(t, file, "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example.com/a", "--redirect-uri", "https://shop.example.com/b", "--public-url", "https://id.example.com/")
	m := regexp.MustCompile(`^issuer +https://id.example.com\nclient_id +shop\nclient_secret +([A-Z2-7]{52})\n$`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("it says %q", said)
	}
	if said := register(t, file, "add", "--name", "App", "--public", "--first-party", "--redirect-uri", "com.example.app:/in"); !regexp.MustCompile(`^client_id +[a-z2-7]{16}\n$`).MatchString(said) {
		t.Errorf("a public one: %q", said)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), m[1]) || !strings.Contains(string(text), qrlogin.HashOf(m[1]).String()) {
		t.Errorf("the file: %s, %v", text, err)
	}
	list := register(t, file, "list")
	if !strings.Contains(list, "shop") || !strings.Contains(list, "public, first party") || !strings.Contains(list, "https://shop.example.com/a https://shop.example.com/b") {
		t.Errorf("the list:\n%s", list)
	}
	apps, err := openClients(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := apps.get("shop"); err != nil || !c.Secret.Is(m[1]) || len(c.RedirectURIs) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	register(t, file, "remove", "shop")
	if _, err := apps.get("shop"); err == nil {
		t.Error("it is there still")
	}
	for what, args := range map[string][]string{
		"nothing": nil, "something else": {"sell"}, "no name": {"add", "--redirect-uri", "https://a.test/"}, "no address": {"add", "--name", "A"}, "plain http": {"add", "--name", "A", "--redirect-uri", "http://a.test/"},
		"nobody": {"remove", "nobody"}, "a flag": {"add", "--what"}, "a taken id": {"add", "--id", "shop", "--name", "A", "--redirect-uri", "https://a.test/"},
	} {
		if what == "a taken id" {
			register(t, file, args...)
		}
		if len(args) > 0 {
			args = append([]string{args[0], "--clients", file}, args[1:]...)
		}
		if err := clientCommand(args, func(string) string { return "" }, io.Discard, io.Discard); err == nil || err == flag.ErrHelp {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []string{"{", `[{"id":"a","name":"A"}]`, `[{"id":"a","name":"A","redirect_uris":["https://a.test/"]},{"id":"a","name":"A","redirect_uris":["https://a.test/"]}]`} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openClients(file, nil); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}

// TestAnAppsPeopleSignInByPhone is the way of OpenID Connect through the real
// program: the app's page, the code, the phone, and the app's page again.
func TestAnAppsPeopleSignInByPhone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients.json")
	p := start(t, nil, "--clients", file, "--digits", "never")
	said := register(t, file, "add", "--id", "shop", "--name", "Shop", "--first-party", "--redirect-uri", "https://shop.example.com/in", "--logout-uri", "https://shop.example.com/out") // while it runs
	secret := said[len(said)-53 : len(said)-1]
	browser := p.agent()
	phone := p.phoneOf("ada").near(browser)
	verifier := strings.Repeat("v", 43)
	ask := "/oidc/authorize?" + url.Values{"client_id": {"shop"}, "redirect_uri": {"https://shop.example.com/in"}, "response_type": {"code"}, "scope": {"openid profile offline_access"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {pkceOf(verifier)}, "code_challenge_method": {"S256"}, "login_hint": {"ada"}}.Encode()
	login := browser.want(303, "GET", ask, nil).header.Get("Location")
	html := browser.want(200, "GET", login, nil).text
	next := regexp.MustCompile(` next="([^"]+)"`).FindStringSubmatch(html)
	if next == nil || !strings.Contains(html, `password="/signin?login_hint=ada&amp;next=`) {
		t.Fatalf("the login page: %s", html)
	}
	page := browser.page()
	asked := phone.scan(page.ticket)
	phone.decide(page.id, "approve", asked.str("decision_nonce"))
	page.exchange()
	back := browser.want(303, "GET", strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(next[1]), nil).header.Get("Location")
	u, err := url.Parse(back)
	if err != nil || u.Host != "shop.example.com" || u.Query().Get("state") != "s" || u.Query().Get("iss") != p.url {
		t.Fatalf("back at %s, %v", back, err)
	}
	app := p.agent()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {"https://shop.example.com/in"}, "code_verifier": {verifier}, "client_id": {"shop"}, "client_secret": {secret}}
	tokens := app.want(200, "POST", "/oidc/token", form)
	app.header.Set("Authorization", "Bearer "+tokens.str("access_token"))
	if g := app.want(200, "GET", "/oidc/userinfo", nil); g.str("sub") != "ada" || g.str("name") != "Ada Example" {
		t.Errorf("userinfo: %s", g.text)
	}
	// Who signs in anew keeps what apps hold; who signs out takes it away.
	browser.want(303, "POST", "/signin", url.Values{"user": {"ada"}, "password": {testPassword}})
	app.want(200, "GET", "/oidc/userinfo", nil)
	out := browser.want(303, "GET", "/oidc/logout?"+url.Values{"id_token_hint": {tokens.str("id_token")}, "post_logout_redirect_uri": {"https://shop.example.com/out"}}.Encode(), nil)
	if out.header.Get("Location") != "https://shop.example.com/out" {
		t.Errorf("signed out to %s", out.header.Get("Location"))
	}
	app.want(401, "GET", "/oidc/userinfo", nil)
	browser.want(401, "GET", "/account/devices", nil)
	app.header.Del("Authorization")
	if g := app.want(400, "POST", "/oidc/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.str("refresh_token")}, "client_id": {"shop"}, "client_secret": {secret}}); g.str("error") != "invalid_grant" {
		t.Errorf("%s", g.text)
	}
	for name, s := range map[string]string{"code": u.Query().Get("code"), "access": tokens.str("access_token"), "refresh": tokens.str("refresh_token"), "id": tokens.str("id_token"), "secret": secret} {
		if strings.Contains(p.log.String(), s) {
			t.Errorf("the log holds the %s", name)
		}
	}
}

// TestT13NextStaysHere: after a sign-in that an app asked for, too.
func TestT13NextStaysHere(t *testing.T) {
	a, _ := quick(t)
	for _, evil := range []string{"//evil.test", `/\evil.test`, "https:evil.test", "https://evil.test", "/%2f%2fevil.test", "javascript:alert(1)", "//a@evil.test", `\/evil.test`, "evil.test", "/\n/evil.test"} {
		p := visit(t, a)
		q := "?" + url.Values{"next": {evil}}.Encode()
		for _, path := range []string{"/login", "/qr/login", "/signin"} {
			if resp, _ := p.send("GET", path+q, nil); resp.StatusCode != 400 {
				t.Errorf("%s of %q: %d", path, evil, resp.StatusCode)
			}
		}
		if resp, _ := p.send("POST", "/qr/plain", url.Values{"next": {evil}}); resp.StatusCode != 400 || resp.Header.Get("Location") != "" {
			t.Errorf("plain, %q: %d", evil, resp.StatusCode)
		}
	}
	p := visit(t, a)
	way := "/oidc/authorize?client_id=a&state=%22%3E"
	resp, body := p.send("POST", "/signin", url.Values{"user": {"demo"}, "password": {testPassword}, "return_to": {way}})
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `content="0; url=/oidc/authorize?client_id=a&amp;state=%22%3E"`) {
		t.Errorf("a form leads on by a page: %d %s", resp.StatusCode, body)
	}
	resp, _ = p.send("POST", "/qr/plain", url.Values{"next": {way}})
	plain := resp.Header.Get("Location")
	if _, body := p.send("GET", plain, nil); !strings.HasPrefix(plain, "/qr/plain/") || !strings.Contains(body, "/finish?next=%2foidc%2fauthorize%3fclient_id%3da%26state%3d%2522%253E") && !strings.Contains(body, "/finish?next=%2Foidc%2Fauthorize%3Fclient_id%3Da%26state%3D%2522%253E") {
		t.Errorf("without scripts: %s %s", plain, body)
	}
}

// TestTheAppsGuideIsRight runs the guide's lines of shell, with another folder.
func TestTheAppsGuideIsRight(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "qrlogin-apps.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, n := t.TempDir(), 0
	for _, block := range regexp.MustCompile("(?s)```sh\nqrlogin (.*?)\n```").FindAllStringSubmatch(string(guide), -1) {
		n++
		var args []string
		for _, word := range regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(block[1], -1) {
			args = append(args, strings.ReplaceAll(strings.Trim(word, `"'`), "qrlogin-data", data))
		}
		var out bytes.Buffer
		env := func(string) string { return "" }
		if args[0] != "client" {
			if _, err := parseConfig(args, env, &out); err != nil {
				t.Errorf("qrlogin %s: %v", block[1], err)
			}
		} else if err := clientCommand(args[1:], env, &out, io.Discard); err != nil || !strings.Contains(out.String(), "issuer         https://id.example.com\nclient_id      shop\nclient_secret  ") {
			t.Errorf("qrlogin %s: %v\n%s", block[1], err, &out)
		}
	}
	if n != 3 {
		t.Errorf("%d lines were run: bring this test along", n)
	}
}
