package tenant

import (
	"github.com/golang-jwt/jwt/v5"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// AppOf is the app that a credential names, "" where it names none that there
// is, and the id of the key in it. Nothing is checked: it says to whom a refusal may be of interest, and
// never who somebody is.
func (t *Tenants) AppOf(credential string) (app protocol.AppID, key string) {
	if credential == "" || len(credential) > maxToken {
		return "", ""
	}
	if looksLikeKey(credential) {
		if len(credential) < idLen {
			return "", ""
		}
		if app = t.view.appOf(credential[:idLen]); app != "" {
			key = credential[:idLen]
		}
		return app, key
	}
	var c claims
	tok, _, err := t.parser.ParseUnverified(credential, &c)
	if err != nil {
		return "", ""
	}
	if tok.Method == jwt.SigningMethodHS256 {
		kid, _ := tok.Header["kid"].(string)
		if app = t.view.appOf(kid); app != "" {
			key = kid
		}
		return app, key
	}
	if len(c.Audience) == 1 {
		if app := t.view.findApp(protocol.AppID(c.Audience[0])); app != nil {
			return app.id, ""
		}
	}
	return "", ""
}
