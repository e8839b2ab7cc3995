package fanfare_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	secretKey      = "ffs_0123456789abcdefghijklmnopqrstuvwxyzABCDEFsecret"
	publishableKey = "ffp_0123456789abcdefghijklmnopqrstuvwxyzABCDEFpublic"
)

func newClient(t testing.TB, url, key string, opts ...fanfare.Option) *fanfare.Client {
	t.Helper()
	c, err := fanfare.New(url, key, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// wantCode fails unless err is a complete *protocol.Error of code.
func wantCode(t testing.TB, err error, code protocol.Code) *protocol.Error {
	t.Helper()
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Code != code || e.Message == "" || e.Remedy == "" {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	return e
}

// Another library reads the token as clause 8.4 says.
//
// claims: 8.4
func TestToken(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", secretKey)
	grants := protocol.Grants{Subscribe: []string{"orders:42", "chat:*"}, Publish: []string{"chat:1"}}
	text, err := c.Token("ü-1", grants, 90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		jwt.RegisteredClaims
		Grants protocol.Grants `json:"grants"`
	}
	token, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return []byte(secretKey), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	if got := token.Header["kid"]; got != "ffs_0123456789" {
		t.Errorf("kid is %v", got)
	}
	if claims.Subject != "ü-1" {
		t.Errorf("sub is %q", claims.Subject)
	}
	if diff := cmp.Diff(grants, claims.Grants); diff != "" {
		t.Error(diff)
	}
	if left := time.Until(claims.ExpiresAt.Time); left < 80*time.Second || left > 90*time.Second {
		t.Errorf("the token lives for %v", left)
	}
	if strings.Contains(text, secretKey) {
		t.Error("the key is in the token")
	}
}

func TestTokenDefaults(t *testing.T) {
	text, err := newClient(t, "http://127.0.0.1:1", secretKey).Token("", protocol.Grants{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text, claims); err != nil {
		t.Fatal(err)
	}
	if _, ok := claims["sub"]; ok {
		t.Error("there is a sub")
	}
	if raw, _ := json.Marshal(claims["grants"]); string(raw) != "{}" {
		t.Errorf("grants are %s", raw)
	}
	if exp, err := claims.GetExpirationTime(); err != nil || time.Until(exp.Time) < 59*time.Minute || time.Until(exp.Time) > time.Hour {
		t.Errorf("exp is %v, %v", exp, err)
	}
}

func TestTokenRefusals(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1", secretKey)
	many := make([]string, 1000)
	for i := range many {
		many[i] = "channel:" + strings.Repeat("x", i%100)
	}
	tests := []struct {
		name   string
		client *fanfare.Client
		user   string
		grants protocol.Grants
		ttl    time.Duration
		want   protocol.Code
	}{
		{"a publishable key", newClient(t, "http://127.0.0.1:1", publishableKey), "", protocol.Grants{}, 0, protocol.CodeKeyKind},
		{"a user too long", c, strings.Repeat("x", 129), protocol.Grants{}, 0, protocol.CodeBadRequest},
		{"a user that is no UTF-8", c, "\xff", protocol.Grants{}, 0, protocol.CodeBadRequest},
		{"less than a second", c, "", protocol.Grants{}, time.Second - 1, protocol.CodeBadRequest},
		{"negative", c, "", protocol.Grants{}, -time.Hour, protocol.CodeBadRequest},
		{"more than a day", c, "", protocol.Grants{}, 24*time.Hour + 1, protocol.CodeBadRequest},
		{"a wrong grant", c, "", protocol.Grants{Publish: []string{"a\n"}}, 0, protocol.CodeBadRequest},
		{"too long", c, "", protocol.Grants{Publish: many}, 0, protocol.CodeTokenInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, err := tt.client.Token(tt.user, tt.grants, tt.ttl)
			wantCode(t, err, tt.want)
			if text != "" {
				t.Error("there is a token beside the error")
			}
		})
	}
}

func TestNew(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:8080", "https://push.example.com/", "http://[::1]:1/fan/fare"} {
		if _, err := fanfare.New(url, secretKey); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "127.0.0.1:8080", "localhost:8080", "ws://host", "http://", "http://h?key=ffs_x", "http://user:hush@h", "http://h#x", "http://h\n"} {
		_, err := fanfare.New(url, secretKey)
		if err == nil || !strings.Contains(err.Error(), "https://push.example.com") {
			t.Errorf("%q: got %v, want an error that shows how a URL looks", url, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "ffs_x")) {
			t.Errorf("%v tells a secret", err)
		}
	}
	for key, code := range map[string]protocol.Code{
		"":                         protocol.CodeCredentialMissing,
		"ffa_" + secretKey[4:]:     protocol.CodeKeyKind,
		secretKey + "\n":           protocol.CodeKeyInvalid,
		"key":                      protocol.CodeKeyInvalid,
		strings.ToUpper(secretKey): protocol.CodeKeyInvalid,
	} {
		_, err := fanfare.New("http://h", key)
		wantCode(t, err, code)
		if key != "" && key != "key" && strings.Contains(err.Error(), key[4:]) {
			t.Errorf("%v tells the key", err)
		}
	}
}
