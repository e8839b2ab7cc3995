package tenant

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Kind is what proved who somebody is.
type Kind string

// The kinds of principals; the first three and KindAccount are credentials.
const (
	KindPublishable Kind = "publishable" // a key that may stand in a page
	KindSecret      Kind = "secret"      // a key that stays on servers
	KindToken       Kind = "token"       // a signed token for one user
	KindAccount     Kind = "account"     // an account token: administration
	KindSession     Kind = "session"     // a dashboard session: administration
)

// Principal is who a request or a connection is. It is immutable and safe for
// concurrent use, but what its methods answer follows the app's and the key's
// records as they are now, for as long as anybody holds it.
type Principal struct {
	Account protocol.AccountID
	App     protocol.AppID // "" for administration
	Kind    Kind
	KeyID   string          // the key, or the key that signed the token; "" for tokens by JWKS and sessions
	User    string          // a token's sub
	Grants  protocol.Grants // as they were when it was made
	Expires time.Time       // zero: never; Leeway is forgiven after it

	app  *appState     // nil for administration
	key  *keyState     // nil for tokens by JWKS and sessions
	sign *signer       // tokens by JWKS
	door *doorKeyState // of a guest or an agent
}

// LogValue is what logs may know of a principal.
func (p *Principal) LogValue() slog.Value {
	return slog.GroupValue(slog.String("app", string(p.App)), slog.String("kind", string(p.Kind)), slog.String("key", p.KeyID))
}

// AppID is the app that the principal belongs to.
func (p *Principal) AppID() protocol.AppID { return p.App }

// UserID is the user of a token; "" for others.
func (p *Principal) UserID() string { return p.User }

// Check returns why the principal is good no longer: its key was revoked, its
// token has expired, its app was deleted. Sessions call it now and then, since
// May is asked only when a client does something.
func (p *Principal) Check() error {
	_, _, err := p.now()
	return err
}

// now is the app's and the key's record of the principal, if it is still good.
// The app is nil for administration, the key for tokens by JWKS and sessions.
func (p *Principal) now() (*appRecord, *keyRecord, error) {
	at := time.Now()
	if !p.Expires.IsZero() && !at.Before(p.Expires.Add(p.leeway())) {
		return nil, nil, p.over()
	}
	var app *appRecord
	if p.app != nil {
		if app = p.app.record.Load(); app == nil {
			return nil, nil, protocol.NewError(protocol.CodeAppNotFound)
		}
	}
	if p.door != nil {
		return app, nil, p.door.check(app, at)
	}
	if p.sign != nil && !app.keys.has(p.sign) {
		return nil, nil, protocol.Errorf(protocol.CodeTokenInvalid, "The token was signed with a key that is no longer in the app's jwks.")
	}
	if p.key == nil {
		return app, nil, nil
	}
	key := p.key.record.Load()
	switch {
	case key != nil && !key.ended(at):
		return app, key, nil
	case p.Kind == KindToken:
		return nil, nil, protocol.Errorf(protocol.CodeTokenInvalid, "The token was signed with a key that has expired or was revoked.")
	case key == nil:
		return nil, nil, protocol.Errorf(protocol.CodeKeyExpired, "The key was revoked.")
	}
	return nil, nil, key.expired()
}

func (p *Principal) leeway() time.Duration {
	if p.Kind == KindToken {
		return Leeway
	}
	return 0
}

// over is the error of a principal whose time is over.
func (p *Principal) over() error {
	if p.Kind == KindSession {
		return sessionInvalid()
	}
	return protocol.Errorf(protocol.CodeTokenExpired, "The token expired at %s.", p.Expires.UTC().Format(time.RFC3339))
}

// Need returns key_kind unless the principal is of one of the kinds.
func (p *Principal) Need(kinds ...Kind) error {
	if slices.Contains(kinds, p.Kind) {
		return nil
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.noun()
	}
	return protocol.Errorf(protocol.CodeKeyKind, "This takes %s; %s was sent.", strings.Join(names, " or "), p.Kind.noun())
}

// noun is k in a sentence for people.
func (k Kind) noun() string {
	switch k {
	case KindPublishable:
		return "a publishable key (ffp_)"
	case KindSecret:
		return "a secret key (ffs_)"
	case KindAccount:
		return "an account token (ffa_)"
	case KindSession:
		return "a dashboard session"
	case KindGuest, KindAgent:
		return "a key of another protocol"
	}
	return "a token"
}

// inApp returns key_kind for principals of administration, which no app's
// channels are open to.
func (p *Principal) inApp() error {
	if p.app != nil {
		return nil
	}
	return p.Need(KindSecret, KindPublishable, KindToken)
}

// May returns nil if the principal may do a on ch now, and else the *Error
// that says why not: not_granted, publish_off, key_kind, or what Check says.
func (p *Principal) May(a protocol.Action, ch protocol.Channel) error {
	if err := p.inApp(); err != nil {
		return err
	}
	app, key, err := p.now()
	if err != nil {
		return err
	}
	if p.Kind == KindSecret || p.Kind == KindAgent {
		return nil
	}
	if a == protocol.Publish && !setting(app.sorted, ch, true, func(r *Rule) *bool { return r.PublishFromClients }) {
		return protocol.Errorf(protocol.CodePublishOff, "Clients may not publish to %q: a rule of the app forbids it.", ch).On(ch)
	}
	grants := p.Grants
	if p.Kind == KindPublishable {
		grants = key.Grants
	}
	if !grants.Allows(a, ch) || p.Kind == KindGuest && !named(grants, a, ch) {
		return protocol.Errorf(protocol.CodeNotGranted, "The %s does not grant %s on %q.", p.carrier(), a, ch).On(ch)
	}
	return nil
}

// named reports whether a guest may use ch, which it must be granted by name
// where it is a door's own.
func named(g protocol.Grants, a protocol.Action, ch protocol.Channel) bool {
	if !strings.HasPrefix(string(ch), "#") {
		return true
	}
	all := func(list []string) (own []string) {
		for _, pattern := range list {
			if strings.HasPrefix(pattern, "#") {
				own = append(own, pattern)
			}
		}
		return own
	}
	own := protocol.Grants{Subscribe: all(g.Subscribe), Publish: all(g.Publish), Presence: all(g.Presence), History: all(g.History)}
	return own.Allows(a, ch)
}

func (p *Principal) carrier() string {
	if p.Kind == KindToken {
		return "token"
	}
	return "key"
}

// Limits are the app's limits now; zero for administration and deleted apps.
func (p *Principal) Limits() Limits {
	if p.app != nil {
		if r := p.app.record.Load(); r != nil {
			return r.limits
		}
	}
	return Limits{}
}

// MaxData is the most bytes that a message's data may have.
func (p *Principal) MaxData() int { return p.Limits().MessageBytes }

// AllowPublish takes n messages from what the app may publish:
// all n, or none and publish_rate with when to try again. At most one second's
// worth passes at once.
func (p *Principal) AllowPublish(n int) error {
	if err := p.inApp(); err != nil {
		return err
	}
	rate := p.Limits().PublishPerSecond
	if rate == 0 {
		return protocol.NewError(protocol.CodeAppNotFound)
	}
	if n <= 0 {
		return nil
	}
	if n > rate {
		return protocol.Errorf(protocol.CodePublishRate, "The batch has %d messages; the app's publish_per_second limit of %d is also the most at once: split it.", n, rate).After(time.Second)
	}
	if over, yes := p.app.meter.Exceeds(int64(n)); yes {
		return quotaExceeded(over)
	}
	p.app.published.Add(int64(n))
	if wait, ok := p.app.publish.allow(time.Since(p.app.epoch), n, p.app.publishRate(rate), rate); !ok {
		return protocol.Errorf(protocol.CodePublishRate, "The app publishes faster than its publish_per_second limit of %d.", rate).After(wait)
	}
	return nil
}

// Connect counts one connection of the app, until release, which
// may be called more than once. The error is connection_limit when the app has
// as many as it may have.
func (p *Principal) Connect() (release func(), err error) {
	if err := p.inApp(); err != nil {
		return nil, err
	}
	most := int64(p.Limits().Connections)
	if most == 0 {
		return nil, protocol.NewError(protocol.CodeAppNotFound)
	}
	if all, ok := p.app.meter.Connect(most); !ok {
		return nil, protocol.Errorf(protocol.CodeConnectionLimit, "The app has %d connections; its connections limit is %d.", all, most)
	}
	if over, yes := p.app.meter.Crowded(); yes {
		p.app.meter.Disconnect()
		return nil, protocol.Errorf(protocol.CodeConnectionLimit, "The account's apps have %d connections, as many as its plan allows.", over.Most)
	}
	var released atomic.Bool
	return func() {
		if released.CompareAndSwap(false, true) {
			p.app.meter.Disconnect()
		}
	}, nil
}

// QuotaWarning is what publishers are told of the account's quotas; "" while
// less than four fifths of each are used.
func (p *Principal) QuotaWarning() string {
	if p.app == nil {
		return ""
	}
	return p.app.meter.Warning()
}

// String names the principal without any secret.
func (p *Principal) String() string {
	return fmt.Sprintf("%s %s of app %s", p.Kind, p.KeyID, p.App)
}
