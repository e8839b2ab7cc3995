package oidc

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/jwt"
)

// idClaims are those of our ID tokens that we read again.
type idClaims struct {
	jwt.Claims
	Session string `json:"sid"`
}

// hinted reads an ID token of ours, also one that has run out: it is a hint.
func (p *Provider) hinted(text string) (c idClaims, err error) {
	if err := p.o.Keys.verify(text, idType, &c); err != nil {
		return c, err
	}
	if c.Issuer != p.base || len(c.Audience) != 1 {
		return c, errors.New("the token is not ours")
	}
	return c, nil
}

// leaving is a request to sign out (RP-Initiated Logout 1.0).
type leaving struct {
	hint  idClaims
	known bool   // hint is one
	to    string // "" is our own page
	state string
}

func (p *Provider) leaving(r *http.Request, q url.Values) (l leaving, err error) {
	for name, v := range q {
		if len(v) > 1 {
			return l, errPage{"The app’s request is damaged", "It has " + shown(name) + " twice."}
		}
	}
	id := q.Get("client_id")
	if text := q.Get("id_token_hint"); text != "" {
		if l.hint, err = p.hinted(text); err != nil {
			return l, errPage{"The app’s request was refused", "Its id_token_hint is not a token of ours."}
		}
		l.known = true
		if id != "" && id != l.hint.Audience[0] {
			return l, errPage{"The app’s request was refused", "Its client_id is not the one of its id_token_hint."}
		}
		id = l.hint.Audience[0]
	}
	to := q.Get("post_logout_redirect_uri")
	if to == "" {
		return l, nil
	}
	c, err := p.o.Client(r.Context(), id)
	switch {
	case errors.Is(err, ErrNoClient), err == nil && !slices.Contains(c.LogoutURIs, to):
		return l, errPage{"The app’s request was refused", "Its post_logout_redirect_uri is not one that is registered."}
	case err != nil:
		return l, err
	}
	l.to, l.state = to, q.Get("state")
	return l, nil
}

// postLogout makes a GET of a POST, see postAuthorize.
func (p *Provider) postLogout(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.page(w, http.StatusBadRequest, "The app’s request is damaged", "It is too long or was cut off.")
		return
	}
	http.Redirect(w, r, "/oidc/logout?"+r.PostForm.Encode(), http.StatusSeeOther)
}

// getLogout signs the browser out where an app shows, by an ID token of just
// this session, that it is the user's; else it asks.
func (p *Provider) getLogout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	l, err := p.leaving(r, q)
	if err != nil {
		p.fail(w, r, request{}, err)
		return
	}
	s, err := p.o.Session(r)
	switch {
	case err != nil: // nobody is signed in
		p.left(w, l)
	case l.known && l.hint.Session == s.ID && l.hint.Subject == s.User:
		p.o.SignOut(w, r)
		p.left(w, l)
	default:
		if u, err := url.Parse(l.to); err == nil && u.Host != "" {
			w.Header().Set("Content-Security-Policy", policy("'self' "+u.Scheme+"://"+u.Host))
		}
		query := q.Encode()
		p.draw(w, http.StatusOK, "logout.html", map[string]any{"Name": s.Name, "Query": query, "Seal": p.seal("logout", s.ID, query)})
	}
}

// postConfirm takes the answer of our own page.
func (p *Provider) postConfirm(w http.ResponseWriter, r *http.Request) {
	query := r.PostFormValue("query")
	s, err := p.o.Session(r)
	q, perr := url.ParseQuery(query)
	if err != nil || perr != nil || !hmac.Equal([]byte(r.PostFormValue("seal")), []byte(p.seal("logout", s.ID, query))) {
		p.page(w, http.StatusForbidden, "This page is over", "Open it again.")
		return
	}
	l, err := p.leaving(r, q)
	if err != nil {
		p.fail(w, r, request{}, err)
		return
	}
	p.o.SignOut(w, r)
	p.left(w, l)
}

// left goes where the app wants its people after they signed out.
func (p *Provider) left(w http.ResponseWriter, l leaving) {
	if l.to == "" {
		p.page(w, http.StatusOK, "You are signed out", "You can close this window.")
		return
	}
	to := l.to
	if l.state != "" {
		between := "?"
		if strings.Contains(to, "?") {
			between = "&"
		}
		to += between + url.Values{"state": {l.state}}.Encode()
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
