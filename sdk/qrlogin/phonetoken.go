package qrlogin

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A phone token is a JWT (RFC 7519) that a host signs for one request of one
// of its app's phones: "this is Ada, on this phone". Only EdDSA is taken, and
// only with the key that the host registered; what the header says of other
// keys or algorithms counts for nothing (RFC 8725, 3.1).
type phoneClaims struct {
	Issuer   string `json:"iss"` // Host.Name
	Audience string `json:"aud"` // Options.PublicURL
	Subject  string `json:"sub"`
	Name     string `json:"name"`
	Session  string `json:"sid"`
	ID       string `json:"jti"` // used once
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"` // at most a minute after iat
}

const (
	tokenLife = 60 * time.Second
	clockSkew = 5 * time.Second
)

var errToken = errors.New("qrlogin: the phone's token is not good")

// bearerUser is the user of the request's phone token; ok is false where it
// has none.
func (s *Server) bearerUser(r *http.Request) (u User, ok bool, err error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(s.o.Hosts) == 0 {
		return User{}, false, nil
	}
	c, err := s.checkToken(token, time.Now())
	if err != nil {
		return User{}, true, newProblem(http.StatusUnauthorized, "token_invalid", "The phone's token is wrong, too old, or was used before.", "Get a new token from the app's own server.")
	}
	return User{ID: c.Subject, Name: c.Name, Session: c.Session, host: c.Issuer}, true, nil
}

func (s *Server) checkToken(token string, now time.Time) (c phoneClaims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errToken
	}
	var head struct {
		Alg string `json:"alg"`
	}
	decode := func(part string, into any) bool {
		text, err := base64.RawURLEncoding.Strict().DecodeString(part)
		return err == nil && json.Unmarshal(text, into) == nil
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || !decode(parts[0], &head) || head.Alg != "EdDSA" || !decode(parts[1], &c) {
		return c, errToken
	}
	h, ok := s.hostNamed(c.Issuer)
	if !ok || h.PhoneKey == nil || !ed25519.Verify(h.PhoneKey, []byte(parts[0]+"."+parts[1]), sig) {
		return c, errToken
	}
	issued, expires := time.Unix(c.Issued, 0), time.Unix(c.Expires, 0)
	switch {
	case c.Audience != s.o.PublicURL, c.Subject == "", c.Session == "", len(c.ID) < 16:
		return c, errToken
	case issued.After(now.Add(clockSkew)), !now.Before(expires.Add(clockSkew)), expires.Sub(issued) > tokenLife:
		return c, errToken
	case !s.jtis.first(c.Issuer+"|"+c.ID, expires.Add(clockSkew), now):
		return c, errToken
	}
	return c, nil
}

// onceOnly remembers ids until they are worth nothing any more. When it is full
// it takes none: better no sign-in than one twice. Safe for concurrent use.
type onceOnly struct {
	mu sync.Mutex
	m  map[string]time.Time
}

const maxOnce = 100_000

func newOnceOnly() *onceOnly { return &onceOnly{m: map[string]time.Time{}} }

// first reports whether id was not seen before.
func (o *onceOnly) first(id string, until, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, seen := o.m[id]; seen && now.Before(at) {
		return false
	}
	if len(o.m) >= maxOnce {
		for k, at := range o.m {
			if !now.Before(at) {
				delete(o.m, k)
			}
		}
		if len(o.m) >= maxOnce {
			return false
		}
	}
	o.m[id] = until
	return true
}
