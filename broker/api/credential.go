package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// need is what a route asks of the one who calls it.
type need struct {
	kinds    []tenant.Kind
	say      string // what to send, for people
	operator bool   // of the server's own account
}

// takes reports whether credentials of kind k will do.
func (n need) takes(k tenant.Kind) bool { return slices.Contains(n.kinds, k) }

// cookie reports whether the dashboard's session will do.
func (n need) cookie() bool { return n.takes(tenant.KindSession) }

func needApp() need {
	return need{kinds: []tenant.Kind{tenant.KindSecret, tenant.KindPublishable, tenant.KindToken},
		say: "a key of the app (ffs_ on servers, ffp_ in pages) or a token"}
}

func needSecret() need {
	return need{kinds: []tenant.Kind{tenant.KindSecret}, say: "a secret key (ffs_)"}
}

func needAccount() need {
	return need{kinds: []tenant.Kind{tenant.KindAccount, tenant.KindSession}, say: "an account token (ffa_)"}
}

// needToken is needAccount without the session: a session must not be able to
// make links to sessions that outlive it.
func needToken() need {
	return need{kinds: []tenant.Kind{tenant.KindAccount}, say: "an account token (ffa_)"}
}

// needOperator is needAccount for the server's own account.
func needOperator() need {
	n := needAccount()
	n.say, n.operator = "an account token (ffa_) of the server's own account", true
	return n
}

// cookieName is the dashboard's session.
const cookieName = "fanfare_session"

// admit says who calls, or refuses. It does not read the body: strangers must
// not make the server do so.
func (d *door) admit(r *http.Request, n need) (*tenant.Principal, error) {
	text, err := bearer(r)
	if err != nil {
		return nil, err
	}
	var who *tenant.Principal
	switch {
	case text != "":
		who, err = d.credentials.Authenticate(r.Context(), text, r.Header.Get("Origin"))
	case n.cookie():
		who, err = d.visitor(r)
	default:
		err = missing(r, n)
	}
	if err != nil {
		return nil, err
	}
	if err := who.Need(n.kinds...); err != nil {
		return nil, err
	}
	if n.operator && who.Account != d.operator {
		e := protocol.Errorf(protocol.CodeKeyKind, "This takes %s; one of another account was sent.", n.say)
		e.Remedy = "Use the token in admin.env of the server's data folder, or ask the operator."
		return nil, e
	}
	return who, nil
}

// visitor is who a browser with the session cookie is. The cookie goes along
// with requests that pages of other sites make, so those are turned away.
func (d *door) visitor(r *http.Request) (*tenant.Principal, error) {
	c, err := r.Cookie(cookieName)
	if err != nil || c.Value == "" {
		return nil, missing(r, needAccount())
	}
	if err := d.sameSite(r); err != nil {
		return nil, err
	}
	return d.credentials.Session(r.Context(), c.Value)
}

// sameSite refuses what a page of another site makes a browser send.
func (d *door) sameSite(r *http.Request) error {
	if d.foreign.Check(r) == nil {
		return nil
	}
	e := protocol.Errorf(protocol.CodeOriginNotAllowed, "A page of another site may not use the dashboard's session.")
	e.Remedy = "Use the dashboard itself, or an account token (ffa_) in the Authorization header."
	return e
}

// bearer is the credential in the Authorization header, "" where there is no
// such header.
func bearer(r *http.Request) (string, error) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return "", nil
	}
	scheme, text, _ := strings.Cut(h, " ")
	if text = strings.TrimSpace(text); !strings.EqualFold(scheme, "Bearer") || text == "" {
		return "", protocol.Errorf(protocol.CodeCredentialMissing, "The Authorization header is not Bearer followed by a key or token.")
	}
	return text, nil
}

// missing says what to send, and tells who put it into the URL instead.
func missing(r *http.Request, n need) error {
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		for _, name := range []string{"key", "token", "access_token"} {
			if q.Has(name) {
				return protocol.NewError(protocol.CodeKeyInURL)
			}
		}
	}
	return protocol.Errorf(protocol.CodeCredentialMissing, "No key or token was sent: this takes %s.", n.say)
}
