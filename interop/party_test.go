package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

const (
	callback = "http://localhost:9/callback"
	logout   = "http://localhost:9/bye"
)

// browse is a browser at an authorization or a logout page, up to where the
// app's own address begins. Who is asked agrees, unless deny.
func (one *person) browse(at string, deny bool) (string, error) {
	for range 10 {
		if strings.HasPrefix(at, callback) || strings.HasPrefix(at, logout) {
			return at, nil
		}
		status, to, text := one.send("GET", at, "", "")
		if query := hidden(text, "query"); status == http.StatusOK && query != "" {
			decision := map[bool]string{true: "deny", false: "allow"}[deny]
			status, to, text = one.send("POST", "/oidc/consent", "application/x-www-form-urlencoded", url.Values{"query": {query}, "seal": {hidden(text, "seal")}, "decision": {decision}}.Encode())
		}
		if to == "" {
			return "", fmt.Errorf("%s: %d %s", at, status, text)
		}
		if next, err := url.Parse(to); err == nil && next.Path == "/login" { // whoever is not signed in signs in
			_, _, _ = one.send("POST", "/signin", "application/x-www-form-urlencoded", url.Values{"user": {"demo"}, "password": {password}}.Encode())
			to = next.Query().Get("next")
		}
		at = to
	}
	return "", errors.New("it goes round and round")
}

func hidden(page, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[1])
}

// TestRelyingPartiesFromNPM: two libraries as they are, as confidential and as
// public clients, with tokens by RS256 and by ES256, when all is well and when
// it is not.
func TestRelyingPartiesFromNPM(t *testing.T) {
	t.Parallel()
	p := start(t)
	secret := p.client("--id", "shop", "--name", "The Shop", "--redirect-uri", callback, "--logout-uri", logout)
	p.client("--id", "spa", "--name", "A page", "--public", "--alg", "ES256", "--redirect-uri", callback, "--logout-uri", logout)
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		for id, secret := range map[string]string{"shop": secret, "spa": ""} {
			t.Run(library+" "+id, func(t *testing.T) {
				t.Parallel()
				relyingParty(t, p, library, id, secret)
			})
		}
	}
}

func relyingParty(t *testing.T, p *program, library, id, secret string) {
	cmd := exec.CommandContext(t.Context(), "node", "party.mjs", library, p.url, id, secret, callback, logout)
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	demo := p.person()
	tell := func(text string) {
		if _, err := fmt.Fprintln(in, text); err != nil {
			t.Fatalf("%v\n%s", err, &said)
		}
	}
	for _, what := range []string{"good", "denied", "prompt_none", "max_age", "no_pkce", "other_verifier", "other_nonce", "other_state", "other_issuer", "twice", "reuse", "revoke", "logout"} {
		tell(what)
		end := ""
		for end == "" && lines.Scan() {
			switch kind, rest, _ := strings.Cut(lines.Text(), " "); kind {
			case "go":
				who := demo
				if what == "prompt_none" {
					who = &person{p, &http.Client{CheckRedirect: demo.http.CheckRedirect}} // nobody
				}
				if what == "denied" {
					rest += "&prompt=consent"
				}
				at, err := who.browse(rest, what == "denied")
				if err != nil {
					t.Errorf("%s: the browser: %v", what, err)
				}
				tell(at)
			case "end":
				end = rest
			}
		}
		if end != "ok" {
			t.Errorf("%s: %q\n%s", what, end, &said)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("node: %v\n%s", err, &said)
	}
}

// TestZitadelRelyingParty is the same by zitadel/oidc, with a restart of the
// program between the code and the tokens.
func TestZitadelRelyingParty(t *testing.T) {
	t.Parallel()
	p := start(t)
	secret := p.client("--id", "shop", "--name", "The Shop", "--redirect-uri", callback, "--logout-uri", logout)
	demo := p.person()
	ctx := t.Context()
	party, err := rp.NewRelyingPartyOIDC(ctx, p.url, "shop", secret, callback, scopes(), rp.WithVerifierOpts(rp.WithNonce(nonceOf)))
	if err != nil {
		t.Fatal(err)
	}
	verifier := oauth2.GenerateVerifier()
	come := func(state string) string {
		t.Helper()
		at, err := demo.browse(rp.AuthURL(state, party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier)), rp.AuthURLOpt(rp.WithURLParam("nonce", "n"))), false)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(at)
		if err != nil || u.Query().Get("state") != state || u.Query().Get("iss") != p.url {
			t.Fatalf("it came back at %s, %v", at, err)
		}
		return u.Query().Get("code")
	}
	code := come("s")
	p.stop()
	p.run()
	tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, code, party, rp.WithCodeVerifier(verifier))
	if err != nil || tokens.IDTokenClaims.Subject != "demo" || tokens.IDTokenClaims.Nonce != "n" {
		t.Fatalf("after the restart: %+v, %v", tokens, err)
	}
	info, err := rp.Userinfo[*zitadel.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, "demo", party)
	if err != nil || info.Name != "Demo User" {
		t.Errorf("userinfo: %+v, %v", info, err)
	}
	// This library looks for the nonce in fresh ID tokens too, where it should not
	// be (OpenID Connect Core, 12.2).
	refresher, err := rp.NewRelyingPartyOIDC(ctx, p.url, "shop", secret, callback, scopes())
	if err != nil {
		t.Fatal(err)
	}
	next, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, refresher, tokens.RefreshToken, "", "")
	if err != nil || next.RefreshToken == tokens.RefreshToken {
		t.Fatalf("refresh: %v", err)
	}
	if _, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, refresher, tokens.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a used refresh token: %v", err)
	}
	if _, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, refresher, next.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("its family: %v", err)
	}
	// Consent is kept over the restart, sessions are not: who comes again signs in.
	code = come("again")
	if _, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, code, party, rp.WithCodeVerifier(oauth2.GenerateVerifier())); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("another verifier: %v", err)
	}
	tokens, err = rp.CodeExchange[*zitadel.IDTokenClaims](ctx, code, party, rp.WithCodeVerifier(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if err := rp.RevokeToken(ctx, party, tokens.RefreshToken, "refresh_token"); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if _, err := rp.Userinfo[*zitadel.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, "demo", party); err == nil {
		t.Error("a revoked token is good")
	}
	stranger, err := rp.NewRelyingPartyOIDC(ctx, p.url, "shop", "a wrong secret", callback, scopes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, come("more"), stranger, rp.WithCodeVerifier(verifier)); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a wrong secret: %v", err)
	}
}

func nonceOf(context.Context) string { return "n" }
