package oidc

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// accessClaims are those of our access tokens that we read.
type accessClaims struct {
	jwt.Claims
	Client string `json:"client_id"`
	Scope  string `json:"scope"`
	Grant  string `json:"fanfare_grant"`
}

// access reads an access token of ours that has not run out.
func (p *Provider) access(text string) (a accessClaims, err error) {
	if err := p.o.Keys.verify(text, accessType, &a); err != nil {
		return a, err
	}
	if a.Issuer != p.base || a.Expiry == nil || !time.Now().Before(a.Expiry.Time()) || !isGrantID(a.Grant) {
		return a, errToken()
	}
	return a, nil
}

// getUserinfo tells an app who its user is, for as long as the grant is good.
func (p *Provider) getUserinfo(w http.ResponseWriter, r *http.Request) {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		token = ""
	}
	a, err := p.access(token)
	if err != nil {
		p.refuse(w, r, errToken())
		return
	}
	g, _, err := p.live(r.Context(), a.Grant)
	if errors.Is(err, errGrant()) {
		err = errToken()
	}
	scopes := strings.Fields(a.Scope)
	told := map[string]any{}
	if err == nil && slices.Contains(scopes, "profile") {
		var more map[string]any
		more, err = p.o.Claims(r.Context(), g.User)
		maps.Copy(told, more)
	}
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	told["sub"] = g.User
	answer(w, http.StatusOK, told)
}
