package qrlogin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
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

	funnel funnel

	create, scan, decide, exchange, read *limiter

	wrongUser, wrongAddress *strikes // user codes that are none, by account and by address
	unanswered, asking      *strikes // browsers that ask, by user
	crowd                   *crowd

	hooks *hooks
	jtis  *onceOnly
	polls *polls

	closing chan struct{} // closed when Run is to end: nobody waits any more
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
		wrongUser: newStrikes(5, 10*time.Minute), wrongAddress: newStrikes(20, 10*time.Minute),
		unanswered: newStrikes(5, time.Hour), asking: newStrikes(3, o.Times.Decide), crowd: newCrowd(),
		hooks: newHooks(), jtis: newOnceOnly(), polls: newPolls(), closing: make(chan struct{}),
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
	route("POST /qr/attempts/{id}/code", s.exchange, s.postCode)
	route("POST /qr/attempts/{id}/exchange", s.exchange, s.postExchange)
	route("DELETE /qr/attempts/{id}", s.read, s.deleteAttempt)
	route("POST /qr/scan", s.scan, s.postScan)
	route("POST /qr/attempts/{id}/decision", s.decide, s.postDecision)
	route("GET /qr/attempts/{id}/phone", s.read, s.getPhone)
	route("GET /qr/login", s.read, s.getLogin)
	s.plainRoutes(route)
	s.hostRoutes(mux)
	s.deviceRoutes(mux)
	route("GET /q/{ticket}", s.read, s.getApprove)
	route("GET /Q/{ticket}", s.read, s.getApprove)
	route("GET /q/{$}", s.read, s.getType)
	route("GET /qr/ask/{id}", s.read, s.getAsk)
	mux.Handle("GET /qr/assets/", s.pages.assets())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, gone()) })
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { forbidden().write(w) }))
	return cross.Handler(mux)
}

// maxBody is the longest request: an assertion of a passkey is 2 KB or so.
const maxBody = 16 << 10

// ServeHTTP is http.Handler's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.harden(w.Header())
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}

// LoginPage is the page with the code, to be mounted where the app likes it
// better than at /qr/login. Its query may hold next, a path of this origin to
// go to in place of AfterLogin, and login_hint, the name of who is expected;
// both go on to PasswordURL.
func (s *Server) LoginPage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.harden(w.Header())
		if err := s.getLogin(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// Run ends attempts when their time is up, tells their pages, and sends
// webhooks. It returns nil when ctx is done, and is called once. Requests that
// wait for something are answered then as things stand, so that a server that
// stops need not break them off.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { close(s.closing) })()
	wg.Go(func() {
		s.hooks.run(ctx, func(h Host, err error) {
			s.o.Logger.Warn("qrlogin: a webhook could not be delivered", "host", h.Name, "error", err)
		})
	})
	return s.alarms.run(ctx, func(id string) {
		a, err := s.step(ctx, id, Attempt.expire)
		switch {
		case err == nil:
			s.announce(ctx, a, "expired")
			s.audit(ctx, nil, ActionExpired, a, a.UserID)
		case errors.Is(err, errState):
			s.alarms.setIfLive(a) // another node gave it more time
		case !errors.Is(err, ErrNotFound) && ctx.Err() == nil:
			s.o.Logger.Warn("qrlogin: an attempt could not be expired", "attempt", id, "error", err)
		}
	})
}

// get is the attempt of that id, if it is of this site.
func (s *Server) get(ctx context.Context, id string) (Attempt, error) {
	if !isID(id) {
		return Attempt{}, ErrNotFound
	}
	return s.ours(s.o.Store.Get(ctx, id))
}

func (s *Server) ours(a Attempt, err error) (Attempt, error) {
	if err == nil && a.Tenant != s.o.Tenant {
		return Attempt{}, ErrNotFound
	}
	return a, err
}

// step moves an attempt by compare-and-set. On errState the attempt comes too,
// as it stands.
func (s *Server) step(ctx context.Context, id string, fn func(Attempt, time.Time) (Attempt, error)) (Attempt, error) {
	for range 32 {
		a, err := s.get(ctx, id)
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
	b, ip := s.o.Describe(r), s.ip(r)
	b.IP, b.Place = ip.String(), s.o.Place(ip)
	return b
}

// refuse answers an error: JSON to programs, a page to people.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 && r.Context().Err() == nil {
		s.o.Logger.Error("qrlogin: a request failed", "path", ScrubPath(r.URL.Path), "error", err)
	}
	form := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	if (r.Method == http.MethodGet || form) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.pages.message(w, r, s.o, p)
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
