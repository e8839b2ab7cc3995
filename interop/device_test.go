package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cli/oauth/device"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// library is a client of RFC 8628: it calls link once, with what the user is to
// open, and returns how it ended: "token" or an error's name.
type library func(ctx context.Context, p *program, link func(string)) (string, error)

func libraries() map[string]library {
	return map[string]library{
		"golang.org_x_oauth2": xOAuth2, "cli_oauth": cliOAuth, "zitadel_oidc": zitadelOIDC,
		"openid-client": node("openid-client"), "oauth4webapi": node("oauth4webapi"),
	}
}

func scopes() []string { return []string{"openid", "profile", "offline_access"} }

// ending is an error's name, as all of these libraries tell it in their way.
func ending(token string, err error) (string, error) {
	if err == nil {
		if token == "" {
			return "nothing", nil
		}
		return "token", nil
	}
	for _, name := range []string{"access_denied", "expired_token", "invalid_grant", "slow_down"} {
		if strings.Contains(err.Error(), name) {
			return name, nil
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, device.ErrTimeout) {
		return "expired_token", nil // it keeps the time itself
	}
	return "", err
}

func xOAuth2(ctx context.Context, p *program, link func(string)) (string, error) {
	c := &oauth2.Config{ClientID: "tv", Scopes: scopes(), Endpoint: oauth2.Endpoint{DeviceAuthURL: p.url + "/qr/oauth/device_authorization", TokenURL: p.url + "/oidc/token"}}
	begun, err := c.DeviceAuth(ctx)
	if err != nil {
		return "", err
	}
	link(begun.VerificationURIComplete)
	t, err := c.DeviceAccessToken(ctx, begun)
	if err != nil {
		return ending("", err)
	}
	return ending(t.RefreshToken, nil)
}

func cliOAuth(ctx context.Context, p *program, link func(string)) (string, error) {
	begun, err := device.RequestCode(http.DefaultClient, p.url+"/qr/oauth/device_authorization", "tv", scopes())
	if err != nil {
		return "", err
	}
	link(begun.VerificationURIComplete)
	t, err := device.Wait(ctx, http.DefaultClient, p.url+"/oidc/token", device.WaitOptions{ClientID: "tv", DeviceCode: begun})
	if err != nil {
		return ending("", err)
	}
	return ending(t.RefreshToken, nil)
}

func zitadelOIDC(ctx context.Context, p *program, link func(string)) (string, error) {
	party, err := rp.NewRelyingPartyOIDC(ctx, p.url, "tv", "", "", scopes())
	if err != nil {
		return "", err
	}
	begun, err := rp.DeviceAuthorization(ctx, scopes(), party, nil)
	if err != nil {
		return "", err
	}
	link(begun.VerificationURIComplete)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(begun.ExpiresIn)*time.Second)
	defer cancel()
	t, err := rp.DeviceAccessToken(ctx, begun.DeviceCode, time.Duration(begun.Interval)*time.Second, party)
	if err != nil {
		return ending("", err)
	}
	claims, err := rp.VerifyIDToken[*zitadel.IDTokenClaims](ctx, t.IDToken, party.IDTokenVerifier())
	if err != nil || claims.Subject != "demo" {
		return "", errors.Join(errors.New("the ID token"), err)
	}
	info, err := rp.Userinfo[*zitadel.UserInfo](ctx, t.AccessToken, t.TokenType, "demo", party)
	if err != nil || info.Name != "Demo User" {
		return "", errors.Join(errors.New("userinfo"), err)
	}
	return ending(t.RefreshToken, nil)
}

// node runs device.mjs.
func node(name string) library {
	return func(ctx context.Context, p *program, link func(string)) (string, error) {
		cmd := exec.CommandContext(ctx, "node", "device.mjs", name, p.url, "tv")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			return "", err
		}
		if err := cmd.Start(); err != nil {
			return "", err
		}
		end := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch what, rest, _ := strings.Cut(lines.Text(), " "); what {
			case "link":
				link(rest)
			case "end":
				end = rest
			}
		}
		if err := cmd.Wait(); err != nil || end == "" {
			return "", errors.Join(errors.New("node: "+said.String()), err)
		}
		if strings.HasPrefix(end, "OAUTH_TIMEOUT") { // it keeps the time itself
			end = "expired_token"
		}
		return end, nil
	}
}

// TestDeviceClients: five clients as they are, and all ways in which it ends.
func TestDeviceClients(t *testing.T) {
	for end, want := range map[string]string{"approve": "token", "reject": "access_denied", "expire": "expired_token", "slow_down": "token", "restart": "token"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			args := []string{"--devices", "tv=Living room TV"}
			if end == "expire" {
				args = append(args, "--device-code", "8s")
			}
			p := start(t, args...)
			h := &hurry{p: p, done: map[string]bool{}}
			if end == "slow_down" {
				p.before, p.after = h.before, h.after
			}
			demo := p.person()
			var shown sync.WaitGroup
			all := libraries()
			shown.Add(len(all))
			var clients sync.WaitGroup
			defer clients.Wait()
			links := make(chan string, len(all))
			for name, run := range all {
				clients.Go(func() {
					ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute)
					defer stop()
					once := sync.OnceFunc(shown.Done)
					defer once()
					got, err := run(ctx, p, func(link string) { links <- link; once() })
					if err != nil || got != want {
						t.Errorf("%s: it ended with %q, %v; want %q", name, got, err, want)
					}
				})
			}
			shown.Wait()
			close(links)
			switch end {
			case "approve", "reject":
				for link := range links {
					demo.decide(link, end)
				}
			case "slow_down":
				h.wait(t, len(all))
				for link := range links {
					demo.decide(link, "approve")
				}
			case "restart":
				p.stop()
				p.run()
				demo = p.person() // who is signed in is not kept
				for link := range links {
					demo.decide(link, "approve")
				}
			}
		})
	}
}

// hurry sits between the clients and the program, and asks for each client as
// often as it takes for the program to tell the client itself to slow down.
type hurry struct {
	p *program

	mu   sync.Mutex
	done map[string]bool // by device code
}

type codeKey struct{}

func (h *hurry) before(r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.p.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	code := form.Get("device_code")
	*r = *r.WithContext(context.WithValue(r.Context(), codeKey{}, code))
	h.mu.Lock()
	done := h.done[code]
	h.mu.Unlock()
	if err != nil || code == "" || done {
		return
	}
	// More than 250 ms apart: what comes closer counts as one.
	apart := time.NewTicker(270 * time.Millisecond)
	defer apart.Stop()
	for range 3 {
		ctx, stop := context.WithCancel(r.Context())
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			ask, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://program/qr/oauth/token", strings.NewReader(url.Values{"client_id": {"tv"}, "grant_type": {form.Get("grant_type")}, "device_code": {code}}.Encode()))
			if err != nil {
				return
			}
			ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			direct := &http.Transport{DisableKeepAlives: true, DialContext: h.p.dial}
			if resp, err := direct.RoundTrip(ask); err == nil {
				_ = resp.Body.Close()
			}
		}()
		<-apart.C
		stop()
		<-asked
	}
}

// after notes who was told to slow down.
func (h *hurry) after(r *http.Response) {
	code, _ := r.Request.Context().Value(codeKey{}).(string)
	if code == "" {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.p.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.Contains(body, []byte(`"slow_down"`)) {
		h.mu.Lock()
		h.done[code] = true
		h.mu.Unlock()
	}
}

// wait waits until so many clients were told.
func (h *hurry) wait(t *testing.T, n int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); <-tick.C {
		h.mu.Lock()
		told := len(h.done)
		h.mu.Unlock()
		if told >= n {
			return
		}
	}
	t.Errorf("not all clients were told to slow down")
}

func TestMainHasNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("these tests need node (apt-get install nodejs), and npm ci in interop/")
	}
	if _, err := os.Stat("node_modules/openid-client"); err != nil {
		t.Fatal("run .ci/tools first: openid-client is not installed")
	}
}
