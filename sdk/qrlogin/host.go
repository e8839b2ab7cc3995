package qrlogin

import (
	"crypto/ed25519"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Host is a backend in any language that lets people in through this Server's
// API under /qr/host/, and keeps its own users and sessions. It sees the
// attempts that it began and no others.
type Host struct {
	Name string // a word that names it in tokens and records
	Key  Hash   // HashOf its API key, which has 128 random bits or more

	// PublicURL is where its phones reach the host, "https://shop.example.com":
	// its codes lead to /Q/ and the ticket there, in either case. "" is for apps
	// that read the ticket off the code themselves: it leads to this Server's
	// page, which lets no host's user in.
	PublicURL string

	// PhoneKey verifies tokens that the host signs for its app's phones
	// (EdDSA); nil: the phones come through the host.
	PhoneKey ed25519.PublicKey

	// WebhookURL is told of each step of the host's attempts, signed with
	// WebhookSecret ("whsec_…", Standard Webhooks); "" is nobody.
	WebhookURL, WebhookSecret string
}

func (s *Server) hostRoutes(mux *http.ServeMux) {
	route := func(pattern string, h func(http.ResponseWriter, *http.Request, Host) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			host, err := s.hostOf(r)
			if err == nil {
				err = h(w, r, host)
			}
			if err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	route("POST /qr/host/attempts", s.hostBegin)
	route("GET /qr/host/attempts/{id}", s.hostRead)
	route("POST /qr/host/attempts/{id}/rotate", s.hostRotate)
	route("POST /qr/host/attempts/{id}/code", s.hostCode)
	route("POST /qr/host/attempts/{id}/exchange", s.hostExchange)
	route("DELETE /qr/host/attempts/{id}", s.hostCancel)
	route("POST /qr/host/scan", s.hostScan)
	route("POST /qr/host/attempts/{id}/decision", s.hostDecision)
	route("POST /qr/host/phone", s.hostPhone)
}

// hostOf is the host whose API key the request has. Guesses are fined.
func (s *Server) hostOf(r *http.Request) (Host, error) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	address := "host " + addressKey(s.ip(r)).String()
	if wait := s.wrongAddress.locked(address); wait > 0 {
		return Host{}, tooMany(wait)
	}
	if ok {
		for _, h := range s.o.Hosts {
			if h.Key.Is(key) {
				return h, nil
			}
		}
	}
	s.wrongAddress.add(address)
	return Host{}, newProblem(http.StatusUnauthorized, "key_invalid", "The API key is missing or not known.", "Send Authorization: Bearer and the key of this host.")
}

// caller is a browser or phone as the host saw it.
type caller struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
	Languages string `json:"accept_language"` // of pages; "" is English
}

// as is the request as if the caller had made it.
func (c caller) as(r *http.Request) (*http.Request, error) {
	ip, err := netip.ParseAddr(c.IP)
	if err != nil || ip.Zone() != "" {
		return nil, badRequest("ip has to be the address of the browser or phone.")
	}
	q := r.Clone(r.Context())
	q.RemoteAddr = net.JoinHostPort(ip.String(), "0")
	q.Header = http.Header{"User-Agent": {c.UserAgent}, "Accept-Language": {c.Languages}}
	return q, nil
}

// hostBegun answers the host that began an attempt.
type hostBegun struct {
	created
	Secret string `json:"attempt_secret"` // for the host's own session; never for the page
	SVG    string `json:"qr_svg"`
}

func (s *Server) hostBegin(w http.ResponseWriter, r *http.Request, h Host) error {
	var in struct {
		caller
		BrowserKey string `json:"browser_key"` // what the host keeps in a long-lived cookie
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	q, err := in.as(r)
	if err != nil {
		return err
	}
	if err := s.limit(s.create, q, 1); err != nil {
		return err
	}
	a := Attempt{Kind: ByHost, Client: h.Name, Browser: s.browserOf(q), Headless: headless(q)}
	if in.BrowserKey != "" {
		a.BrowserKey = s.keyed("browser of "+h.Name, in.BrowserKey)
	}
	b, err := s.beginAttempt(q, a)
	if err != nil {
		return err
	}
	grant, err := s.grant(b.Channel, time.Now().Add(s.o.Times.longest()))
	if err != nil {
		return err
	}
	if grant.URL == "" { // the page is of another origin
		grant.URL = strings.TrimSuffix(s.o.PublicURL, "/")
	}
	at := s.publicOf(h)
	code := ticketURL(at, b.ticket, s.o.KeepCase)
	svg, err := drawQR(code)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, "application/json", hostBegun{
		created{pageView: s.viewOf(b.Attempt), channelGrant: grant, AttemptID: b.ID, QRURL: code, UserCode: b.code, CodeURL: at.Host + "/q"},
		b.secret, string(svg),
	})
	return nil
}

// publicOf is where the host's codes lead.
func (s *Server) publicOf(h Host) *url.URL {
	if u, err := url.Parse(h.PublicURL); err == nil && u.Host != "" {
		return u
	}
	return s.public
}

// hostAttempt is the attempt of the path, if it is the host's.
func (s *Server) hostAttempt(r *http.Request, h Host) (Attempt, error) {
	a, err := s.get(r.Context(), r.PathValue("id"))
	if err == nil && (a.Kind != ByHost || a.Client != h.Name) {
		return Attempt{}, ErrNotFound
	}
	return a, err
}

func (s *Server) hostRead(w http.ResponseWriter, r *http.Request, h Host) error {
	a, err := s.hostAttempt(r, h)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", s.viewOf(s.settle(r, a.at(time.Now()))))
	return nil
}

func (s *Server) hostRotate(w http.ResponseWriter, r *http.Request, h Host) error {
	if _, err := s.hostAttempt(r, h); err != nil {
		return err
	}
	a, ticket, err := s.rotate(r.Context(), r.PathValue("id"))
	if err != nil {
		return inState(err, a)
	}
	code := ticketURL(s.publicOf(h), ticket, s.o.KeepCase)
	svg, err := drawQR(code)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", struct {
		pageView
		QRURL string `json:"qr_url"`
		SVG   string `json:"qr_svg"`
	}{s.viewOf(a), code, string(svg)})
	return nil
}

func (s *Server) hostCode(w http.ResponseWriter, r *http.Request, h Host) error {
	var in struct {
		Secret string `json:"attempt_secret"`
		Code   string `json:"code"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if _, err := s.hostAttempt(r, h); err != nil {
		return err
	}
	a, err := s.typeCode(r, in.Secret, "", in.Code)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", s.viewOf(a))
	return nil
}

// hostExchange tells the host, once, whom its browser is.
func (s *Server) hostExchange(w http.ResponseWriter, r *http.Request, h Host) error {
	var in struct {
		Secret string `json:"attempt_secret"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if _, err := s.hostAttempt(r, h); err != nil {
		return err
	}
	a, err := s.consume(r, r.PathValue("id"), in.Secret, "")
	if err != nil {
		return inState(err, a)
	}
	if a.BrowserKey != (Hash{}) {
		err := s.o.Known.Remember(r.Context(), Known{Browser: a.BrowserKey, User: User{ID: a.UserID, Name: a.UserName}, Label: a.Browser.Label(), Seen: time.Now()})
		if err != nil { // a nuisance at the next sign-in, no more
			s.o.Logger.Warn("qrlogin: a browser could not be remembered", "attempt", a.ID, "error", err)
		}
	}
	s.audit(r.Context(), r, ActionSignedIn, a, a.UserID)
	s.tellPhone(r.Context(), a, "completed")
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"attempt_id": a.ID, "subject": a.UserID, "name": a.UserName, "verified": a.Verified, "risk": a.Risk.Score})
	return nil
}

func (s *Server) hostCancel(w http.ResponseWriter, r *http.Request, h Host) error {
	if _, err := s.hostAttempt(r, h); err != nil {
		return err
	}
	a, err := s.step(r.Context(), r.PathValue("id"), Attempt.cancel)
	if err != nil {
		return inState(err, a)
	}
	s.announce(r.Context(), a, "cancelled")
	s.audit(r.Context(), r, ActionCancelled, a, a.UserID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// hostUser is a person who is signed in at the host.
type hostUser struct {
	caller
	Subject string `json:"subject"`
	Name    string `json:"name"`
	Session string `json:"session"` // names the phone's session; the same for all its life
	scanned
	decision
}

func (u hostUser) user(h Host) (User, error) {
	if u.Subject == "" || u.Session == "" {
		return User{}, badRequest("subject and session are required.")
	}
	return User{ID: u.Subject, Name: u.Name, Session: u.Session, host: h.Name}, nil
}

func (s *Server) hostScan(w http.ResponseWriter, r *http.Request, h Host) error {
	var in hostUser
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := in.user(h)
	if err != nil {
		return err
	}
	q, err := in.as(r)
	if err != nil {
		return err
	}
	if err := s.limit(s.scan, q, 1); err != nil {
		return err
	}
	return s.answerScan(w, q, u, in.scanned)
}

func (s *Server) hostDecision(w http.ResponseWriter, r *http.Request, h Host) error {
	var in hostUser
	if err := readJSON(r, &in); err != nil {
		return err
	}
	u, err := in.user(h)
	if err != nil {
		return err
	}
	if _, err := s.hostAttempt(r, h); err != nil {
		return err
	}
	return s.answerDecision(w, r, u, in.decision)
}

// checkHosts says what is wrong with hosts.
func checkHosts(hosts []Host) error {
	for _, h := range hosts {
		switch {
		case h.Name == "" || strings.ContainsAny(h.Name, " \t\n\"|"):
			return errors.New("qrlogin: Host.Name has to be one word")
		case h.Key == Hash{}:
			return errors.New("qrlogin: Host.Key is required")
		case h.PhoneKey != nil && len(h.PhoneKey) != ed25519.PublicKeySize:
			return errors.New("qrlogin: Host.PhoneKey has to be an Ed25519 public key")
		}
		if u, err := url.Parse(h.PublicURL); h.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "") {
			return errors.New("qrlogin: Host.PublicURL has to be an origin, like https://shop.example.com")
		}
		if h.WebhookURL != "" {
			if _, err := webhookKey(h.WebhookSecret); err != nil {
				return err
			}
		}
	}
	return nil
}

// hostNamed is the host of that name.
func (s *Server) hostNamed(name string) (Host, bool) {
	for _, h := range s.o.Hosts {
		if h.Name == name {
			return h, true
		}
	}
	return Host{}, false
}
