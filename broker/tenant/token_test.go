package tenant_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// forge signs claims as an app's server would, or an attacker.
func forge(t testing.TB, m jwt.SigningMethod, key any, kid any, c jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(m, c)
	if kid != nil {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// claims: 8.4 9.5
func TestSignedTokenIsGood(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		g := protocol.Grants{Subscribe: []string{"chat:*"}, Publish: []string{"chat:1"}}
		text, expires, err := w.SignToken(w.is(w.secret.Text), "ann", g, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		own := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"sub": "ann", "exp": expires.Unix(), "grants": g})
		for _, token := range []string{text, own, text} { // by the server; by the app; from the cache
			p := w.is(token)
			if p.Kind != tenant.KindToken || p.App != w.app || p.Account != w.account || p.User != "ann" || p.KeyID != w.secret.ID || !p.Expires.Equal(expires) {
				t.Errorf("the token is %v of %q until %s", p, p.User, p.Expires)
			}
			if diff := cmp.Diff(g, p.Grants); diff != "" {
				t.Errorf("grants (-want +got):\n%s", diff)
			}
		}
	})
}

// claims: 8.4
func TestTokensThatAreInvalid(t *testing.T) {
	w := open(t)
	other := open(t) // another server
	second := w.newApp("second").ID
	foreign, err := w.CreateKey(t.Context(), w.account, second, tenant.KeyInput{Kind: tenant.KindSecret, Name: "n"})
	if err != nil {
		t.Fatal(err)
	}
	secret, kid := []byte(w.secret.Text), w.secret.ID
	good := jwt.MapClaims{"sub": "u", "exp": in(time.Hour)}
	with := func(name string, v any) jwt.MapClaims {
		c := jwt.MapClaims{"sub": "u", "exp": in(time.Hour)}
		c[name] = v
		return c
	}
	hs := jwt.SigningMethodHS256
	valid := forge(t, hs, secret, kid, good)
	w.is(valid)
	header, rest, _ := strings.Cut(valid, ".")
	claims, sig, _ := strings.Cut(rest, ".")
	crit := jwt.NewWithClaims(hs, good)
	crit.Header["kid"], crit.Header["crit"] = kid, []string{"b64"}
	critical, err := crit.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct{ token, says string }{
		"alg none":                {forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, good), "alg"},
		"alg none, no signature":  {b64([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + claims + ".", "alg"},
		"alg None":                {b64([]byte(`{"alg":"None","kid":"`+kid+`"}`)) + "." + claims + "." + sig, "alg"},
		"no alg":                  {b64([]byte(`{"kid":"`+kid+`"}`)) + "." + claims + "." + sig, ""},
		"HS384":                   {forge(t, jwt.SigningMethodHS384, secret, kid, good), "alg"},
		"HS512":                   {forge(t, jwt.SigningMethodHS512, secret, kid, good), "alg"},
		"no kid":                  {forge(t, hs, secret, nil, good), "kid"},
		"kid is a number":         {forge(t, hs, secret, 7, good), "kid"},
		"kid of a page's key":     {forge(t, hs, []byte(w.public.Text), w.public.ID, good), "kid"},
		"kid of an account token": {forge(t, hs, []byte(w.token), w.token[:14], good), "kid"},
		"kid nobody has":          {forge(t, hs, secret, "ffs_0000000000", good), "kid"},
		"kid of another server":   {forge(t, hs, []byte(other.secret.Text), other.secret.ID, good), "kid"},
		"kid of another app":      {forge(t, hs, secret, foreign.ID, good), "signature"},
		"another key":             {forge(t, hs, []byte(foreign.Text), kid, good), "signature"},
		"the key's hash":          {forge(t, hs, secret[:14], kid, good), "signature"},
		"empty key":               {forge(t, hs, []byte{}, kid, good), "signature"},
		"claims changed":          {header + "." + b64([]byte(`{"sub":"admin","exp":9999999999}`)) + "." + sig, "signature"},
		"signature cut off":       {valid[:len(valid)-2], ""},
		"signature gone":          {header + "." + claims + ".", ""},
		"two parts":               {header + "." + claims, ""},
		"four parts":              {valid + ".x", ""},
		"no parts":                {"...", ""},
		"bad base64":              {header + ".{}." + sig, ""},
		"no exp":                  {forge(t, hs, secret, kid, jwt.MapClaims{"sub": "u"}), "exp"},
		"exp null":                {forge(t, hs, secret, kid, with("exp", nil)), "exp"},
		"exp is a word":           {forge(t, hs, secret, kid, with("exp", "never")), ""},
		"exp in another world":    {forge(t, hs, secret, kid, with("exp", int64(1)<<50)), "exp"},
		"not yet":                 {forge(t, hs, secret, kid, with("nbf", in(time.Minute))), "nbf"},
		"sub too long":            {forge(t, hs, secret, kid, with("sub", strings.Repeat("x", 129))), "128"},
		"sub is a number":         {forge(t, hs, secret, kid, with("sub", 7)), ""},
		"bad grants":              {forge(t, hs, secret, kid, with("grants", protocol.Grants{Publish: []string{"a\nb"}})), "grants"},
		"grants are a list":       {forge(t, hs, secret, kid, with("grants", []string{"*"})), ""},
		"over-long":               {forge(t, hs, secret, kid, with("x", strings.Repeat("x", 6200))), "8192"},
		"over-long nonsense":      {strings.Repeat("x", 8193), "8192"},
		"crit":                    {critical, "crit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Authenticate(t.Context(), c.token, "")
			if e := want(t, err, protocol.CodeTokenInvalid); !strings.Contains(e.Message, c.says) {
				t.Errorf("the message %q does not say %q", e.Message, c.says)
			}
		})
	}
	// At the bounds they are good.
	w.is(forge(t, hs, secret, kid, with("sub", strings.Repeat("x", 128))))
	w.is(forge(t, hs, secret, kid, with("x", strings.Repeat("x", 5900))))
	if p := w.is(forge(t, hs, secret, kid, jwt.MapClaims{"exp": in(time.Hour)})); p.User != "" || p.May(protocol.Subscribe, "a") == nil {
		t.Errorf("a token that says nothing is %v", p)
	}
	// An exp that no clock can hold is refused, one way or the other.
	for _, exp := range []float64{math.MaxFloat64, -math.MaxFloat64, 1e19, -1} {
		if _, err := w.Authenticate(t.Context(), forge(t, hs, secret, kid, with("exp", exp)), ""); err == nil {
			t.Errorf("exp %g was taken", exp)
		}
	}
}

// claims: 8.4
func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		token := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"exp": in(time.Minute), "grants": protocol.AllGrants()})
		unseen := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"exp": in(time.Minute)})
		p := w.is(token)
		time.Sleep(time.Minute + tenant.Leeway - time.Millisecond)
		w.is(token) // clocks may differ
		w.is(unseen)
		if err := p.May(protocol.Publish, "a"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
		w.refuses(token, protocol.CodeTokenExpired) // from the cache
		fresh := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"exp": in(-tenant.Leeway)})
		w.refuses(fresh, protocol.CodeTokenExpired)
		want(t, p.May(protocol.Publish, "a"), protocol.CodeTokenExpired)
		want(t, p.Check(), protocol.CodeTokenExpired)
		early := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"exp": in(time.Hour), "nbf": in(4 * time.Second)})
		w.is(early)
	})
}

// claims: 8.8 8.4
func TestRevokedKeysTokensAreRefused(t *testing.T) {
	w := open(t)
	token, _, err := w.SignToken(w.is(w.secret.Text), "u", protocol.AllGrants(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	p := w.is(token)
	fresh := forge(t, jwt.SigningMethodHS256, []byte(w.secret.Text), w.secret.ID, jwt.MapClaims{"exp": in(time.Hour)})
	signer := w.is(w.secret.Text)
	if err := w.RevokeKey(t.Context(), w.account, w.app, w.secret.ID); err != nil {
		t.Fatal(err)
	}
	w.refuses(token, protocol.CodeTokenInvalid) // remembered
	w.refuses(fresh, protocol.CodeTokenInvalid) // never seen
	want(t, p.Check(), protocol.CodeTokenInvalid)
	want(t, p.May(protocol.Publish, "a"), protocol.CodeTokenInvalid)
	_, _, err = w.SignToken(signer, "u", protocol.Grants{}, time.Hour)
	want(t, err, protocol.CodeKeyExpired)
}

func TestSignTokenRefusesWhatNobodyCouldUse(t *testing.T) {
	w := open(t)
	p := w.is(w.secret.Text)
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprintf("a-channel-with-a-long-name:%d", i)
	}
	for name, c := range map[string]struct {
		user   string
		grants protocol.Grants
		ttl    time.Duration
	}{
		"no ttl":        {"u", protocol.Grants{}, 0},
		"long ttl":      {"u", protocol.Grants{}, tenant.MaxTokenTTL + 1},
		"long user":     {strings.Repeat("x", 129), protocol.Grants{}, time.Hour},
		"user no UTF-8": {"\xff", protocol.Grants{}, time.Hour},
		"bad grants":    {"u", protocol.Grants{Publish: []string{""}}, time.Hour},
		"many grants":   {"u", protocol.Grants{Subscribe: many}, time.Hour},
	} {
		_, _, err := w.SignToken(p, c.user, c.grants, c.ttl)
		if err == nil {
			t.Errorf("%s: it was signed", name)
			continue
		}
		want(t, err, protocol.CodeBadRequest)
	}
}

// idp is an app's own identity provider.
type idp struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

// newIDP makes one for all tests: RSA keys take long.
var newIDP = sync.OnceValue(func() idp {
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprint(err1, err2))
	}
	return idp{r, e}
})

func rsaJWK(k *rsa.PublicKey, kid string) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": b64(k.N.Bytes()), "e": "AQAB"}
}

func ecJWK(t testing.TB, k *ecdsa.PublicKey, kid string) map[string]any {
	t.Helper()
	point, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	n := (len(point) - 1) / 2
	return map[string]any{"kty": "EC", "kid": kid, "crv": k.Curve.Params().Name, "x": b64(point[1 : 1+n]), "y": b64(point[1+n:])}
}

func jwks(t testing.TB, keys ...map[string]any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// claims: 8.5
func TestTokensByJWKS(t *testing.T) {
	w := open(t)
	own := newIDP()
	w.patch(tenant.AppPatch{JWKS: jwks(t, rsaJWK(&own.rsa.PublicKey, "r1"), ecJWK(t, &own.ec.PublicKey, "e1"))})
	rs, es := jwt.SigningMethodRS256, jwt.SigningMethodES256
	claims := func(aud any) jwt.MapClaims {
		return jwt.MapClaims{"sub": "ann", "aud": aud, "exp": in(time.Hour), "grants": protocol.AllGrants()}
	}
	app := string(w.app)
	for name, token := range map[string]string{
		"RS256":         forge(t, rs, own.rsa, "r1", claims(app)),
		"ES256":         forge(t, es, own.ec, "e1", claims(app)),
		"aud in a list": forge(t, rs, own.rsa, "r1", claims([]string{app})),
		"no kid":        forge(t, es, own.ec, nil, claims(app)),
	} {
		for range 2 {
			p := w.is(token)
			if p.App != w.app || p.Account != w.account || p.User != "ann" || p.KeyID != "" || p.May(protocol.Publish, "a") != nil {
				t.Errorf("%s: the token is %v", name, p)
			}
			text, _, err := w.NewTicket(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := w.RedeemTicket(t.Context(), text, ""); err != nil || got.User != "ann" || got.May(protocol.Publish, "a") != nil {
				t.Errorf("%s: its ticket is %v, %v", name, got, err)
			}
		}
	}
	second := w.newApp("second").ID
	pub, err := x509.MarshalPKIXPublicKey(&own.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
	jwk, err := json.Marshal(rsaJWK(&own.rsa.PublicKey, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	hs := jwt.SigningMethodHS256
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"no aud":                   forge(t, rs, own.rsa, "r1", jwt.MapClaims{"exp": in(time.Hour)}),
		"another app's aud":        forge(t, rs, own.rsa, "r1", claims(string(second))),
		"two auds":                 forge(t, rs, own.rsa, "r1", claims([]string{app, string(second)})),
		"aud nobody has":           forge(t, rs, own.rsa, "r1", claims("zzzzzzzzzz")),
		"unknown kid":              forge(t, rs, own.rsa, "r2", claims(app)),
		"kid of the other family":  forge(t, rs, own.rsa, "e1", claims(app)),
		"a stranger's key":         forge(t, es, stranger, "e1", claims(app)),
		"PS256":                    forge(t, jwt.SigningMethodPS256, own.rsa, "r1", claims(app)),
		"RS512":                    forge(t, jwt.SigningMethodRS512, own.rsa, "r1", claims(app)),
		"confusion: PEM":           forge(t, hs, asPEM, "r1", claims(app)),
		"confusion: DER":           forge(t, hs, pub, "r1", claims(app)),
		"confusion: modulus":       forge(t, hs, own.rsa.N.Bytes(), "r1", claims(app)),
		"confusion: JWK":           forge(t, hs, jwk, "r1", claims(app)),
		"confusion: a secret kid":  forge(t, hs, asPEM, w.secret.ID, claims(app)),
		"confusion: without a kid": forge(t, hs, asPEM, nil, claims(app)),
		"no exp":                   forge(t, rs, own.rsa, "r1", jwt.MapClaims{"aud": app}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Authenticate(t.Context(), token, "")
			want(t, err, protocol.CodeTokenInvalid)
		})
	}
	w.refuses(forge(t, es, own.ec, "e1", jwt.MapClaims{"aud": app, "exp": in(-time.Minute)}), protocol.CodeTokenExpired)
}

// claims: 8.5
func TestKeyTakenOutOfTheJWKS(t *testing.T) {
	w := open(t)
	own := newIDP()
	r, e := rsaJWK(&own.rsa.PublicKey, "r1"), ecJWK(t, &own.ec.PublicKey, "e1")
	w.patch(tenant.AppPatch{JWKS: jwks(t, r, e)})
	byRSA := forge(t, jwt.SigningMethodRS256, own.rsa, "r1", jwt.MapClaims{"aud": string(w.app), "exp": in(time.Hour)})
	byEC := forge(t, jwt.SigningMethodES256, own.ec, "e1", jwt.MapClaims{"aud": string(w.app), "exp": in(time.Hour)})
	p, q := w.is(byRSA), w.is(byEC)
	ticket, _, err := w.NewTicket(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	w.patch(tenant.AppPatch{JWKS: jwks(t, r)})
	if err := p.Check(); err != nil {
		t.Errorf("the key that stayed: %v", err)
	}
	w.is(byRSA)
	want(t, q.Check(), protocol.CodeTokenInvalid)
	w.refuses(byEC, protocol.CodeTokenInvalid)
	_, err = w.RedeemTicket(t.Context(), ticket, "")
	want(t, err, protocol.CodeTokenInvalid)
	if a := w.patch(tenant.AppPatch{JWKS: json.RawMessage("null")}); a.JWKS != nil {
		t.Errorf("null left %s", a.JWKS)
	}
	w.refuses(byRSA, protocol.CodeTokenInvalid)
}

// claims: 8.5
func TestJWKSIsChecked(t *testing.T) {
	w := open(t)
	own := newIDP()
	good := func() map[string]any { return rsaJWK(&own.rsa.PublicKey, "r1") }
	with := func(k map[string]any, name string, v any) map[string]any { k[name] = v; return k }
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, set := range map[string]json.RawMessage{
		"private":        jwks(t, with(good(), "d", "x")),
		"shared":         jwks(t, map[string]any{"kty": "oct", "k": "c2VjcmV0"}),
		"unknown kty":    jwks(t, map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "x"}),
		"for encryption": jwks(t, with(good(), "use", "enc")),
		"other alg":      jwks(t, with(good(), "alg", "RS512")),
		"small":          jwks(t, with(good(), "n", b64(own.rsa.N.Bytes()[:128]))),
		"huge":           jwks(t, with(good(), "n", b64(make([]byte, 10_000))+"_____w")),
		"e is 1":         jwks(t, with(good(), "e", "AQ")),
		"e is even":      jwks(t, with(good(), "e", "BA")),
		"e is huge":      jwks(t, with(good(), "e", b64(make([]byte, 9)))),
		"e is nothing":   jwks(t, with(good(), "e", "")),
		"n is no number": jwks(t, with(good(), "n", "***")),
		"P-384":          jwks(t, ecJWK(t, &p384.PublicKey, "k")),
		"not on curve":   jwks(t, with(ecJWK(t, &own.ec.PublicKey, "k"), "x", b64(make([]byte, 32)))),
		"short x":        jwks(t, with(ecJWK(t, &own.ec.PublicKey, "k"), "x", "AA")),
		"same kid":       jwks(t, good(), good()),
		"33 keys":        json.RawMessage(`{"keys":[` + strings.Repeat("{},", 32) + `{}]}`),
		"key no object":  json.RawMessage(`{"keys":[7]}`),
		"no keys":        json.RawMessage(`{}`),
		"a string":       json.RawMessage(`"x"`),
	} {
		_, err := w.UpdateApp(t.Context(), w.account, w.app, tenant.AppPatch{JWKS: set})
		if err == nil {
			t.Errorf("%s: it was taken", name)
			continue
		}
		if e := want(t, err, protocol.CodeBadRequest); !strings.Contains(e.Message, "jwks") {
			t.Errorf("%s: the message does not name the member: %s", name, e.Message)
		}
	}
}
