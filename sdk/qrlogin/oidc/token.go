package oidc

import (
	"errors"
	"net/http"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// postToken is where programs turn codes and refresh tokens into tokens.
func (p *Provider) postToken(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() == nil && r.PostForm.Get("grant_type") == deviceGrant && p.o.Device != nil {
		p.o.Device.ServeHTTP(w, r)
		return
	}
	c, err := p.caller(r)
	var t Tokens
	if err == nil {
		t, err = p.exchange(r, c)
	}
	if err != nil {
		if f, ok := errors.AsType[fault](err); ok {
			p.o.Logger.Info("oidc: no tokens", "client", c.ID, "code", f.code)
		}
		p.refuse(w, r, err)
		return
	}
	p.o.Logger.Info("oidc: tokens were given", "client", c.ID, "by", r.PostForm.Get("grant_type"))
	answer(w, http.StatusOK, t)
}

func (p *Provider) exchange(r *http.Request, c Client) (Tokens, error) {
	form := r.PostForm
	switch form.Get("grant_type") {
	case "authorization_code":
		g, nonce, err := p.redeem(r.Context(), c, form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"))
		if err != nil {
			return Tokens{}, err
		}
		return p.open(r.Context(), c, g, nonce)
	case "refresh_token":
		return p.refresh(r.Context(), c, form.Get("refresh_token"), form.Get("scope"))
	case "":
		return Tokens{}, badRequest("grant_type is missing.")
	}
	return Tokens{}, fault{http.StatusBadRequest, "unsupported_grant_type", "grant_type has to be authorization_code or refresh_token."}
}

// postRevoke ends the grant of a token (RFC 7009). Of a token that is none, or
// is another client's, it says nothing.
func (p *Provider) postRevoke(w http.ResponseWriter, r *http.Request) {
	c, err := p.caller(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	text := r.PostForm.Get("token")
	id, family := "", ""
	if len(text) == 1+5*idLen && isGrantID(text[:1+idLen]) {
		id, family = text[:1+idLen], text[1+idLen:1+3*idLen]
	} else if a, err := p.access(text); err == nil {
		id = a.Grant
	}
	if id != "" {
		g, _, err := p.live(r.Context(), id)
		if err == nil && g.Client == c.ID && (family == "" || g.Family.Is(family)) {
			err = p.endGrant(r.Context(), id, "revoked")
		}
		if err != nil && !errors.Is(err, errGrant()) {
			p.refuse(w, r, err)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}
