package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// remote is embedded in each command that asks a server.
type remote struct {
	URL string `name:"url" setting:"url" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server's address."`
}

// admin is embedded in each command of the administration API.
type admin struct {
	remote
	AccountToken string `setting:"account_token" placeholder:"ffa_…" help:"The account's token."`
}

// keyed is embedded in each command that acts as an app's server does.
type keyed struct {
	remote
	Key string `setting:"secret_key" placeholder:"KEY" help:"A key or token; the app's secret key may do everything."`
}

// client is the REST client of an administrator, or of an app's server when
// the key is required.
func (a *admin) client(s *settings) (*rest, error) {
	if a.AccountToken == "" {
		return nil, &failure{
			Message: "this needs an account token, and there is none; looked at " + s.looked("account-token", "account_token"),
			Remedy:  "Run it with --data naming the server's data folder, or pass the token from that folder's admin.env.",
			Usage:   true,
		}
	}
	return newREST(a.URL, a.AccountToken)
}

func (k *keyed) client(s *settings) (*rest, error) {
	if err := k.need(s); err != nil {
		return nil, err
	}
	return newREST(k.URL, k.Key)
}

// need returns the failure of a command without a key.
func (k *keyed) need(s *settings) error {
	if k.Key != "" {
		return nil
	}
	return &failure{
		Message: "this needs a key, and there is none; looked at " + s.looked("key", "secret_key"),
		Remedy:  "Run it with --data naming the server's data folder, or pass a key (fanfare key create makes one).",
		Usage:   true,
	}
}

// rest speaks the REST API with one credential. It is immutable.
type rest struct {
	base, credential string
	http             *http.Client
}

// newREST checks base, an http(s) URL without path or credentials in it.
func newREST(base, credential string) (*rest, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		shown := "the --url"
		if err == nil {
			shown = u.Redacted()
		}
		return nil, &failure{Message: shown + " is no server address", Remedy: "Write it like http://127.0.0.1:8080 or https://push.example.com.", Usage: true}
	}
	h := &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a POST would become a GET
	}
	return &rest{base: u.String(), credential: credential, http: h}, nil
}

// do sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil. The error is a *protocol.Error that the server sent, or a
// failure to reach it.
func (r *rest) do(ctx context.Context, method, path string, in, out any) error {
	_, err := r.ask(ctx, method, path, in, out)
	return err
}

// ask is do, for callers that read the answer's header, too.
func (r *rest) ask(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	head, answer, err := r.exchange(ctx, method, path, in)
	if err != nil || out == nil {
		return head, err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, &failure{Message: fmt.Sprintf("%s answered %s with something that is not what Fanfare answers", r.base, path), Remedy: "Check that this is a Fanfare server of the same version (fanfare doctor).", Err: err}
	}
	return head, nil
}

// exchange is ask with the answer as it came.
func (r *rest) exchange(ctx context.Context, method, path string, in any) (http.Header, []byte, error) {
	var body io.Reader
	if in != nil {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false) // data goes out as it was written
		if err := e.Encode(in); err != nil {
			return nil, nil, fmt.Errorf("request: %w", err)
		}
		body = &text
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return nil, nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "fanfare-cli/"+buildVersion().Version)
	if r.credential != "" {
		req.Header.Set("Authorization", "Bearer "+r.credential)
	}
	res, err := r.http.Do(req)
	if err != nil {
		return nil, nil, unreachable(ctx, r.base, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, nil, unreachable(ctx, r.base, err)
	}
	if res.StatusCode >= 300 {
		return nil, nil, problem(r.base, res, answer)
	}
	return res.Header, answer, nil
}

// problem reads an error answer (RFC 9457, PROTOCOL.md clause 9.2).
func problem(base string, res *http.Response, answer []byte) error {
	var p struct {
		Code    protocol.Code
		Detail  string
		Remedy  string
		Channel protocol.Channel
		Index   *int
	}
	if json.Unmarshal(answer, &p) != nil || p.Code == "" {
		f := &failure{Message: fmt.Sprintf("%s answered %s, and not as Fanfare does", base, res.Status), Remedy: "Check the address (--url): something else, such as a proxy, seems to answer there."}
		if to, err := res.Location(); err == nil {
			f.Remedy = fmt.Sprintf("Use the address that it points to: --url %s://%s", to.Scheme, to.Host)
		}
		return f
	}
	e := &protocol.Error{Code: p.Code, Message: p.Detail, Remedy: p.Remedy, Channel: p.Channel, Index: -1}
	if p.Index != nil {
		e.Index = *p.Index
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// unreachable says why nothing came back from base, in words that help.
func unreachable(ctx context.Context, base string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := &failure{Message: "cannot reach " + base, Err: err, Remedy: "Check the address (--url, FANFARE_URL) and that the server runs there."}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Message = "nothing listens at " + base
		f.Remedy = "Start the server (fanfare serve), or name another one with --url or FANFARE_URL."
	case isTimeout(err):
		f.Message = base + " does not answer in time"
	default:
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		f.Message += ": " + err.Error()
	}
	return f
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// sameURL reports two addresses of one server: case of the host and a slash at
// the end do not count.
func sameURL(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}
