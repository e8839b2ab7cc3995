package qrlogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Server is QR login for one site: an http.Handler for the paths /qr/, /q/ and
// /Q/. It is safe for concurrent use. Run has to run for as long as it serves:
// it tells pages when their time is up.
type Server struct {
	o      Options
	public *url.URL
	csp    string
	pages  *pages
	mux    http.Handler
	watch  *watchers
	alarms *alarms

	create, scan, decide, exchange, read *limiter
}

// New makes a Server. It starts nothing.
func New(o Options) (*Server, error) {
	o, public, err := o.checked()
	if err != nil {
		return nil, err
	}
	pages, err := newPages()
	if err != nil {
		return nil, err
	}
	s := &Server{
		o: o, public: public, pages: pages, watch: newWatchers(), alarms: newAlarms(),
		create: newLimiter(o.Limits.Create), scan: newLimiter(o.Limits.Scan), decide: newLimiter(o.Limits.Decide),
		exchange: newLimiter(o.Limits.Exchange), read: newLimiter(o.Limits.Read),
	}
	if s.csp, err = policy(o); err != nil {
		return nil, err
	}
	s.mux = s.routes()
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, l *limiter, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := s.limit(l, r, 1)
			if err == nil {
				err = h(w, r)
			}
			if err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	route("POST /qr/attempts", s.create, s.postAttempt)
	route("POST /qr/attempts/{id}/rotate", s.create, s.postRotate)
	route("GET /qr/attempts/{id}", s.read, s.getAttempt)
	route("GET /qr/attempts/{id}/qr.svg", s.read, s.getCode)
	route("POST /qr/attempts/{id}/exchange", s.exchange, s.postExchange)
	route("DELETE /qr/attempts/{id}", s.read, s.deleteAttempt)
	route("POST /qr/scan", s.scan, s.postScan)
	route("POST /qr/attempts/{id}/decision", s.decide, s.postDecision)
	route("GET /qr/attempts/{id}/phone", s.read, s.getPhone)
	route("GET /qr/login", s.read, s.getLogin)
	route("GET /q/{ticket}", s.read, s.getApprove)
	route("GET /Q/{ticket}", s.read, s.getApprove)
	mux.Handle("GET /qr/assets/", s.pages.assets())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, gone()) })
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { forbidden().write(w) }))
	return cross.Handler(mux)
}

// ServeHTTP is http.Handler's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.harden(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	s.mux.ServeHTTP(w, r)
}

// LoginPage is the page with the code, to be mounted where the app likes it
// better than at /qr/login.
func (s *Server) LoginPage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.harden(w.Header())
		if err := s.getLogin(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// Run ends attempts when their time is up and tells their pages. It returns
// nil when ctx is done, and is called once.
func (s *Server) Run(ctx context.Context) error {
	return s.alarms.run(ctx, func(id string) {
		a, err := s.step(ctx, id, Attempt.expire)
		switch {
		case err == nil:
			s.announce(ctx, a, "expired")
		case errors.Is(err, errState):
			s.alarms.setIfLive(a) // another node gave it more time
		case !errors.Is(err, ErrNotFound) && ctx.Err() == nil:
			s.o.Logger.Warn("qrlogin: an attempt could not be expired", "attempt", id, "error", err)
		}
	})
}

// step moves an attempt by compare-and-set. On errState the attempt comes too,
// as it stands.
func (s *Server) step(ctx context.Context, id string, fn func(Attempt, time.Time) (Attempt, error)) (Attempt, error) {
	for range 32 {
		a, err := s.o.Store.Get(ctx, id)
		if err != nil {
			return Attempt{}, err
		}
		next, err := fn(a, time.Now())
		if err != nil {
			return a.at(time.Now()), err
		}
		if next.Seq == a.Seq && next.State == a.State && len(next.Others) == len(a.Others) {
			return a, nil
		}
		err = s.o.Store.Swap(ctx, next)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Attempt{}, err
		}
		s.alarms.setIfLive(next)
		s.watch.tell(id)
		return next, nil
	}
	return Attempt{}, ErrConflict
}

func (s *Server) ip(r *http.Request) netip.Addr { return s.o.ClientIP(r).Unmap() }

func (s *Server) limit(l *limiter, r *http.Request, n int) error {
	if wait, ok := l.allow(s.ip(r), n); !ok {
		return tooMany(wait)
	}
	return nil
}

// browserOf describes the caller.
func (s *Server) browserOf(r *http.Request) Browser {
	b := s.o.Describe(r)
	b.IP = s.ip(r).String()
	return b
}

// refuse answers an error: JSON to programs, a page to people.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 && r.Context().Err() == nil {
		s.o.Logger.Error("qrlogin: a request failed", "path", ScrubPath(r.URL.Path), "error", err)
	}
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.pages.message(w, s.o, p)
		return
	}
	p.write(w)
}

// readJSON reads a small JSON body. The content type has to say JSON, which no
// form of another site can.
func readJSON(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, "json_only", "The body has to be JSON.", "Send Content-Type: application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest("The body is too large or was cut off.")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return badRequest("The body is not the JSON object that belongs here.")
	}
	return nil
}

// ScrubPath is a request path fit for an access log: the ticket of the QR
// code's path is replaced. Never log a query.
func ScrubPath(path string) string {
	if len(path) > 3 && strings.EqualFold(path[:3], "/q/") {
		return path[:3] + "-"
	}
	return path
}

// policy is the Content-Security-Policy of all pages.
func policy(o Options) (string, error) {
	connect := "'self'"
	if o.FanfareURL != "" {
		u, err := url.Parse(o.FanfareURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", errors.New("qrlogin: Options.FanfareURL has to be an http or https URL")
		}
		connect += fmt.Sprintf(" %s://%s ws%s://%s", u.Scheme, u.Host, strings.TrimPrefix(u.Scheme, "http"), u.Host)
	}
	script := "'self'"
	if u, err := url.Parse(o.SDKURL); err != nil {
		return "", errors.New("qrlogin: Options.SDKURL has to be a URL or a path")
	} else if u.Host != "" {
		script += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src " + script + "; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", nil
}

func (s *Server) harden(h http.Header) {
	h.Set("Content-Security-Policy", s.csp)
	Harden(h)
}

// Harden sets the headers that the library sets on each of its answers, but
// for the Content-Security-Policy: no framing, no referrer, no cache. Without
// a referrer browsers send "Origin: null" with forms, so CrossOriginProtection
// lets these through only where browsers send Sec-Fetch-Site: over https, and
// on this computer.
func Harden(h http.Header) {
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}
