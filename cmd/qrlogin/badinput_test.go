package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestBadInputToTheApp sends what does not belong there to each of the app's
// own routes, as they stand in the source: nothing is done for other sites or
// strangers, nothing is the server's own fault, and no secret is logged.
func TestBadInputToTheApp(t *testing.T) {
	source, err := os.ReadFile("app.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := regexp.MustCompile(`own\.Handle(?:Func)?\("(GET|POST) (/[^"]*)"`).FindAllStringSubmatch(string(source), -1)
	if len(routes) < 18 {
		t.Fatalf("only %d routes found in app.go", len(routes))
	}
	a, log := quick(t, func(o *appOptions) { o.publicURL = "http://localhost:8090" })
	send := func(method, path, kind, body, cookie string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Host = "localhost:8090"
		r.Header.Set("Content-Type", kind)
		if cookie != "" {
			r.Header.Set("Cookie", "session="+cookie)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	signIn := send("POST", "/signin", form, url.Values{"user": {"demo"}, "password": {testPassword}}.Encode(), "")
	if signIn.Code != 303 {
		t.Fatalf("sign-in: %d", signIn.Code)
	}
	session := signIn.Result().Cookies()[0].Value
	open := map[string]bool{"/login": true, "/signin": true, "/assets/": true, "/livez": true, "/passkey/begin": true} // for everybody
	for _, m := range routes {
		method, path := m[1], strings.ReplaceAll(strings.TrimSuffix(m[2], "{$}"), "{id}", strings.Repeat("B", 26))
		name := method + " " + m[2]
		if w := send("PATCH", path, form, "", session); w.Code != 405 && w.Code != 404 {
			t.Errorf("PATCH %s: %d", path, w.Code)
		}
		if method == "GET" {
			if w := send(method, path, "", "", ""); !open[path] && (w.Code == 200 || w.Code >= 500) && path != "/assets/" {
				t.Errorf("%s by a stranger: %d", name, w.Code)
			}
			continue
		}
		for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.test"}} {
			if w := send(method, path, form, "", session, h[0], h[1]); w.Code != 403 {
				t.Errorf("%s with %s: %s: %d, want 403", name, h[0], h[1], w.Code)
			}
		}
		if w := send(method, path, form, "", ""); !open[path] && w.Code != 303 && (w.Code < 400 || w.Code >= 500) {
			t.Errorf("%s by a stranger: %d", name, w.Code)
		}
		if path == "/signout" || strings.HasSuffix(path, "end-others") || strings.HasSuffix(path, "/forget") || strings.HasSuffix(path, "/begin") {
			continue // they take nothing from their body, and would do it
		}
		for what, body := range map[string]string{
			"rubbish": "\x00\xff%%%", "half": `{"a":`, "null": "null", "wrong types": `{"id":[],"response":7}`, "too much": "user=" + strings.Repeat("A", 20<<10), "hostile": "user=%00%3Cscript%3E&password=" + secretWord + "&return_to=//evil.test",
		} {
			for _, kind := range []string{form, asJSON} {
				w := send(method, path, kind, body, session)
				if w.Code < 400 || w.Code >= 500 {
					t.Errorf("%s with %s: %d: %.100s", name, what, w.Code, w.Body)
				}
				if strings.Contains(w.Body.String(), "<script>") {
					t.Errorf("%s with %s: it comes back as it is: %.200s", name, what, w.Body)
				}
			}
		}
	}
	if w := send("GET", "/account/devices", "", "", session); w.Code != 200 && w.Code != 401 {
		t.Errorf("afterwards: %d", w.Code)
	}
	for _, secret := range []string{session, testPassword, secretWord} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "panic") {
		t.Errorf("bad input is logged as the server's fault:\n%s", log)
	}
}

const secretWord = "a-password-that-is-none"

// TestHostileNames: a display name and a browser's name that try to be markup,
// or to turn the text around, are text on the phone and on the screen.
func TestHostileNames(t *testing.T) {
	s := startSite(t)
	name := `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>{{.}}'"&` + "\u202etxet\u202c" + strings.Repeat("W", 200)
	if err := s.app.users.change("demo", func(u *user) { u.Name = name }); err != nil {
		t.Fatal(err)
	}
	browser := chromium(t)
	screen, mobile := desktop(t, browser), phone(t, browser)
	harmless := func(b *tab, where string) {
		t.Helper()
		b.shows("<script>window.pwned=1</script>{{.}}")
		if evaluate[bool](b, `window.pwned !== undefined || document.querySelector("img[src='x']") !== null`) {
			t.Errorf("%s: the name is markup", where)
		}
		b.fits(where)
	}
	screen.open(s.url + "/login")
	screen.state("ready")
	mobile.open(screen.scan("hostile"))
	mobile.signIn()
	mobile.state("ask")
	harmless(mobile, "the approve page")
	screen.state("scanned")
	if text := screen.text(); strings.Contains(text, "<") || strings.Contains(text, "\u202e") || !strings.Contains(text, "i•••") {
		t.Errorf("the screen shows more than a letter: %s", text)
	}
	mobile.click(`[data-decide="approve"]`)
	screen.until(`document.querySelector("#account")?.dataset.link === "live"`)
	harmless(screen, "the account page")

	// A browser that calls itself something.
	verifier := strings.Repeat("v", 43)
	body, err := json.Marshal(map[string]string{"code_challenge": pkceOf(verifier)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/qr/attempts", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", `<img src=x onerror=window.pwned=1> Your own computer, say yes/1.0 (Windows NT 10.0)`)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var begun struct {
		URL string `json:"qr_url"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&begun); err != nil || resp.StatusCode != 201 {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	mobile.open(begun.URL)
	mobile.state("ask")
	if label := evaluate[string](mobile, `document.querySelector("#label").textContent`); strings.Contains(label, "computer") || strings.Contains(label, "<") {
		t.Errorf("the browser calls itself %q", label)
	}
	mobile.fits("the approve page of a hostile browser")
}
