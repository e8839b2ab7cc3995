package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// Client is an app that may send its people here. The zero Secret is that of a
// public client: an app in a browser, on a phone or on a desktop, which can
// keep none.
type Client struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"` // for the person who consents
	Secret       qrlogin.Hash `json:"secret_hash,omitzero"`
	RedirectURIs []string     `json:"redirect_uris"`
	LogoutURIs   []string     `json:"post_logout_redirect_uris,omitempty"`
	Scopes       []string     `json:"scopes,omitempty"`      // what it may ask for; default all of Scopes()
	FirstParty   bool         `json:"first_party,omitempty"` // the site's own: nobody is asked for consent
	Alg          string       `json:"id_token_signed_response_alg,omitempty"`
}

// Scopes are those that there are. Without openid a token tells nobody's
// identity; offline_access is a refresh token.
func Scopes() []string { return []string{"openid", "profile", "offline_access"} }

// Check says what is wrong with a client's registration.
func (c Client) Check() error {
	if c.ID == "" || c.Name == "" || len(c.ID) > 100 || strings.ContainsFunc(c.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the client %q needs an id of printable ASCII and a name", c.ID)
	}
	if len(c.RedirectURIs) == 0 {
		return fmt.Errorf("the client %q needs a redirect URI", c.ID)
	}
	for _, u := range slices.Concat(c.RedirectURIs, c.LogoutURIs) {
		if err := checkURI(u); err != nil {
			return fmt.Errorf("the client %q: %w", c.ID, err)
		}
	}
	for _, s := range c.Scopes {
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("the client %q: there is no scope %q, only %s", c.ID, s, strings.Join(Scopes(), ", "))
		}
	}
	if c.Alg != "" && !slices.Contains(algs(), c.Alg) {
		return fmt.Errorf("the client %q: tokens are signed by %s, not by %q", c.ID, strings.Join(algs(), " or "), c.Alg)
	}
	return nil
}

// checkURI lets through https, plain http of the own computer, and the schemes
// of native apps, which have a dot (RFC 8252, 7.1).
func checkURI(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme == "", strings.Contains(text, "*"), strings.Contains(text, "#"), strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' }):
		return fmt.Errorf("%q is no absolute URI without a fragment and without a wildcard", text)
	case u.User != nil:
		return fmt.Errorf("%q holds a user", text)
	case u.Scheme == "https" && u.Host != "", strings.Contains(u.Scheme, "."):
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || loopback(u)):
		return nil
	}
	return fmt.Errorf("%q: give https, or http of this computer (localhost, 127.0.0.1), or an app's scheme like com.example.app:/in", text)
}

func loopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

func (c Client) public() bool { return c.Secret == qrlogin.Hash{} }

// allows reports whether the browser may be sent to uri: it is one of the
// registered ones, character by character. Only a native app's port on its own
// computer may be another one, where none is registered (RFC 8252, 7.3).
func (c Client) allows(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Port() == "" || !loopback(u) || !c.public() {
		return false
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return uri == "http://"+host+":"+u.Port()+u.RequestURI() && slices.Contains(c.RedirectURIs, "http://"+host+u.RequestURI())
}

func (c Client) may(scope string) bool {
	return slices.Contains(Scopes(), scope) && (len(c.Scopes) == 0 || slices.Contains(c.Scopes, scope))
}

// caller is the client of a program's request, by Basic or by the form, never
// by both (RFC 6749, 2.3).
func (p *Provider) caller(r *http.Request) (Client, error) {
	if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return Client{}, badRequest("The body has to be a form (application/x-www-form-urlencoded).")
	}
	for name, v := range r.PostForm {
		if len(v) > 1 {
			return Client{}, badRequest("A parameter is there twice: " + shown(name))
		}
	}
	id, secret, basic := r.BasicAuth()
	if basic { // form-encoded before it is base64
		var e1, e2 error
		id, e1 = url.QueryUnescape(id)
		secret, e2 = url.QueryUnescape(secret)
		switch {
		case e1 != nil || e2 != nil:
			return Client{}, errClient()
		case r.PostForm.Has("client_secret"):
			return Client{}, badRequest("The client authenticates twice: by the Authorization header and by the form.")
		case r.PostForm.Has("client_id") && r.PostForm.Get("client_id") != id:
			return Client{}, badRequest("Header and form name different clients.")
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	c, err := p.o.Client(r.Context(), id)
	switch {
	case errors.Is(err, ErrNoClient):
		return Client{}, errClient()
	case err != nil:
		return Client{}, err
	case c.public() && secret == "", !c.public() && c.Secret.Is(secret):
		return c, nil
	}
	return Client{}, errClient()
}
