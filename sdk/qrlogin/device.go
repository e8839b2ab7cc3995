package qrlogin

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Devices lets televisions, command lines and other things without a browser
// sign in by RFC 8628, at /qr/oauth/. It is off unless Options.Devices is set,
// and then for the named clients only: a device flow has no cookie and no
// digits, so its approvals should be worth little.
type Devices struct {
	Clients []DeviceClient
	// Token makes what a device gets for an approval. It is called at most
	// once for an attempt.
	Token func(ctx context.Context, l Login, c DeviceClient, scope string) (DeviceToken, error)
}

// DeviceClient is a program that may ask.
type DeviceClient struct {
	ID     string
	Name   string        // for the person who decides
	Secret Hash          // HashOf the client's secret; zero: a public client
	Scopes []string      // what it may ask for; the first one where it does not say
	Hold   time.Duration // how long a token request may wait for the person; default 4 s, which is less than the interval
}

// DeviceToken answers a device (RFC 6749, 5.1).
type DeviceToken struct {
	AccessToken  string
	RefreshToken string        // "" is none
	IDToken      string        // "" is none
	ExpiresIn    time.Duration // 0 is not told
}

const (
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
	deviceInterval = 5 * time.Second
	maxHold        = 25 * time.Second
)

// oauthError is an error of RFC 6749 and 8628.
type oauthError struct {
	status   int
	code     string
	interval time.Duration // slow_down and authorization_pending: from now on
}

func (e oauthError) Error() string { return "qrlogin: " + e.code }

func (s *Server) deviceRoutes(mux *http.ServeMux) {
	if s.o.Devices == nil {
		return
	}
	route := func(pattern string, l *limiter, h func(http.ResponseWriter, *http.Request, DeviceClient) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := s.limit(l, r, 1)
			var c DeviceClient
			if err == nil {
				c, err = s.deviceClient(r)
			}
			if err == nil {
				err = h(w, r, c)
			}
			if err != nil {
				s.refuseDevice(w, r, err)
			}
		})
	}
	route("POST /qr/oauth/device_authorization", s.create, s.postDevice)
	route("POST /qr/oauth/token", s.read, s.postToken)
}

// DeviceMetadata is the document of RFC 8414, to be mounted at
// /.well-known/oauth-authorization-server.
func (s *Server) DeviceMetadata() http.Handler {
	base := strings.TrimSuffix(s.o.PublicURL, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.harden(w.Header())
		writeJSON(w, http.StatusOK, "application/json", map[string]any{
			"issuer": base, "token_endpoint": base + "/qr/oauth/token", "device_authorization_endpoint": base + "/qr/oauth/device_authorization",
			"grant_types_supported": []string{deviceGrant}, "response_types_supported": []string{},
			"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post"}, "push_events_supported": true,
		})
	})
}

// deviceClient is the client of the request, by Basic or by the form. A
// public client may send Basic with an empty password.
func (s *Server) deviceClient(r *http.Request) (DeviceClient, error) {
	if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return DeviceClient{}, oauthError{status: http.StatusBadRequest, code: "invalid_request"}
	}
	id, secret, basic := r.BasicAuth()
	if basic { // form-encoded before it is base64 (RFC 6749, 2.3.1)
		var e1, e2 error
		id, e1 = url.QueryUnescape(id)
		secret, e2 = url.QueryUnescape(secret)
		if e1 != nil || e2 != nil {
			return DeviceClient{}, oauthError{status: http.StatusUnauthorized, code: "invalid_client"}
		}
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	for _, c := range s.o.Devices.Clients {
		if subtle.ConstantTimeCompare([]byte(c.ID), []byte(id)) == 1 && (c.Secret == Hash{} && secret == "" || c.Secret.Is(secret)) {
			return c, nil
		}
	}
	return DeviceClient{}, oauthError{status: http.StatusUnauthorized, code: "invalid_client"}
}

// postDevice begins an attempt for a device (RFC 8628, 3.1 and 3.2).
func (s *Server) postDevice(w http.ResponseWriter, r *http.Request, c DeviceClient) error {
	scope := r.PostFormValue("scope")
	if scope == "" && len(c.Scopes) > 0 {
		scope = c.Scopes[0]
	}
	for one := range strings.FieldsSeq(scope) {
		if !slices.Contains(c.Scopes, one) {
			return oauthError{status: http.StatusBadRequest, code: "invalid_scope"}
		}
	}
	is := s.browserOf(r)
	is.Name, is.OS = c.Name, ""
	b, err := s.beginAttempt(r, Attempt{Kind: ByDevice, Client: c.ID, Scope: scope, Browser: is})
	if err != nil {
		return err
	}
	grant, err := s.grant(b.Channel, b.PendEnds.Add(s.o.Times.Decide+s.o.Times.Exchange))
	if err != nil {
		return err
	}
	base := s.o.FanfareURL
	if base == "" {
		base = strings.TrimSuffix(s.o.PublicURL, "/")
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"device_code": b.ID + b.secret, "user_code": b.code, "verification_uri": strings.TrimSuffix(s.o.PublicURL, "/") + "/q",
		"verification_uri_complete": s.ticketURL(b.ticket), "expires_in": int(s.o.Times.Device.Seconds()), "interval": int(deviceInterval.Seconds()),
		// RFC 8628, 3.5: a client that is told may wait instead of asking.
		"push": map[string]string{"ws": "ws" + strings.TrimPrefix(base, "http") + "/v1/ws", "sse": base + "/v1/sse", "channel": grant.Channel, "token": grant.Token},
	})
	return nil
}

// deviceUserCode is the code that the device shows, made of its ticket: so the
// phone that scanned can show it too, for the person to compare (RFC 8628,
// 3.3.1).
func (s *Server) deviceUserCode(ticket string) string { return s.codeFrom("device code", ticket) }

// postToken is where a device asks for its tokens, and may wait a little.
func (s *Server) postToken(w http.ResponseWriter, r *http.Request, c DeviceClient) error {
	if r.PostFormValue("grant_type") != deviceGrant {
		return oauthError{status: http.StatusBadRequest, code: "unsupported_grant_type"}
	}
	code := r.PostFormValue("device_code")
	if len(code) != 78 {
		return oauthError{status: http.StatusBadRequest, code: "invalid_grant"}
	}
	id, secret := code[:26], code[26:]
	a, err := s.get(r.Context(), id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err != nil || a.Kind != ByDevice || a.Client != c.ID || !a.Secret.Is(secret) {
		return oauthError{status: http.StatusBadRequest, code: "invalid_grant"}
	}
	interval, slow := s.polls.ask(id, time.Now())
	if slow {
		return oauthError{http.StatusBadRequest, "slow_down", interval}
	}
	hold := c.Hold
	if hold <= 0 {
		hold = deviceInterval - time.Second
	}
	if wait := preferredWait(r.Header.Get("Prefer")); wait > 0 {
		hold = wait
	}
	a = s.await(r.Context(), a.at(time.Now()), min(hold, maxHold), func(a Attempt) bool { return a.State == Approved || a.State.Terminal() })
	switch a.State {
	case Approved:
	case Rejected, Cancelled:
		return oauthError{status: http.StatusBadRequest, code: "access_denied"}
	case Expired:
		return oauthError{status: http.StatusBadRequest, code: "expired_token"}
	case Consumed:
		return oauthError{status: http.StatusBadRequest, code: "invalid_grant"}
	default:
		return oauthError{http.StatusBadRequest, "authorization_pending", interval}
	}
	if a, err = s.consume(r, id, secret, ""); err != nil {
		return oauthError{status: http.StatusBadRequest, code: "invalid_grant"}
	}
	return s.giveToken(w, r, a, c)
}

func (s *Server) giveToken(w http.ResponseWriter, r *http.Request, a Attempt, c DeviceClient) error {
	t, err := s.o.Devices.Token(r.Context(), loginOf(a), c, a.Scope)
	if err != nil {
		s.tellPhone(r.Context(), a, "failed")
		return err
	}
	s.audit(r.Context(), r, ActionSignedIn, a, a.UserID)
	s.tellPhone(r.Context(), a, "completed")
	out := map[string]any{"access_token": t.AccessToken, "token_type": "Bearer", "scope": a.Scope}
	for name, v := range map[string]string{"refresh_token": t.RefreshToken, "id_token": t.IDToken} {
		if v != "" {
			out[name] = v
		}
	}
	if t.ExpiresIn > 0 {
		out["expires_in"] = int(t.ExpiresIn.Seconds())
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// refuseDevice answers in the words of RFC 6749, 5.2.
func (s *Server) refuseDevice(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[oauthError](err)
	if !ok {
		p := problemOf(err)
		if p.Status >= 500 && r.Context().Err() == nil {
			s.o.Logger.Error("qrlogin: a device failed", "error", err)
		}
		p.write(w)
		return
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="qrlogin"`)
	}
	out := map[string]any{"error": e.code}
	if e.interval > 0 {
		out["interval"] = int(e.interval.Seconds())
	}
	writeJSON(w, e.status, "application/json", out)
}

// polls watch how often devices ask. Three at once are let pass, since some
// clients send each request twice; who asks more often than that is told to
// slow down by five seconds for good (RFC 8628, 3.5). Safe for concurrent use,
// bounded.
type polls struct {
	mu sync.Mutex
	m  map[string]poll
}

type poll struct {
	full     time.Time // when the bucket will be full again
	last     time.Time
	interval time.Duration
}

const (
	pollBurst  = 3
	pollTwin   = 250 * time.Millisecond
	pollForget = 15 * time.Minute
	maxPolls   = 50_000
)

func newPolls() *polls { return &polls{m: map[string]poll{}} }

func (p *polls) ask(id string, now time.Time) (interval time.Duration, slow bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.m) >= maxPolls {
		for k, v := range p.m {
			if now.Sub(v.last) > pollForget || len(p.m) >= maxPolls {
				delete(p.m, k)
			}
		}
	}
	one := p.m[id]
	one.interval = max(one.interval, deviceInterval)
	twin := now.Sub(one.last) < pollTwin
	one.last = now
	if !twin {
		each := one.interval / pollBurst
		full := one.full
		if full.Before(now) {
			full = now
		}
		if full = full.Add(each); full.Sub(now) > pollBurst*each {
			one.interval += deviceInterval
			p.m[id] = one
			return one.interval, true
		}
		one.full = full
	}
	p.m[id] = one
	return one.interval, false
}

func checkDevices(d *Devices) error {
	if d == nil {
		return nil
	}
	if d.Token == nil {
		return errors.New("qrlogin: Devices.Token is required")
	}
	for _, c := range d.Clients {
		if c.ID == "" || c.Name == "" {
			return errors.New("qrlogin: a DeviceClient needs ID and Name")
		}
	}
	return nil
}
