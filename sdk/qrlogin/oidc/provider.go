package oidc

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

//go:embed ui
var ui embed.FS

// ErrNoClient is what Options.Client answers for an id that nobody has.
var ErrNoClient = errors.New("oidc: there is no such client")

// Session is a browser that is signed in at the app.
type Session struct {
	ID    string    // names it for as long as its user stays signed in, also through a fresh sign-in; not secret
	User  string    // the subject: what apps know the user by, for ever
	Name  string    // for people
	Since time.Time // when the user last proved who they are
}

// Options say how the provider is mounted. All but Scopes, Device, DeviceURL,
// Site and Logger are required.
type Options struct {
	// Issuer is the site's URL without a path, "https://id.example.com".
	Issuer string
	// Client is the client of that id, or ErrNoClient.
	Client func(ctx context.Context, id string) (Client, error)
	// Session is who is signed in with the request, or qrlogin.ErrNotSignedIn.
	Session func(*http.Request) (Session, error)
	// SignIn sends the browser to the login page, and from there to next, a path
	// of this origin. hint is what the client believes the user's name to be.
	SignIn func(w http.ResponseWriter, r *http.Request, next, hint string)
	// SignOut ends the session of the request, and drops its cookie.
	SignOut func(http.ResponseWriter, *http.Request)
	// Claims are what is told of a user to who has the scope profile, like name.
	Claims func(ctx context.Context, user string) (map[string]any, error)

	Store Store
	Keys  *Keys

	// Device takes token requests of RFC 8628, so that there is one token
	// endpoint; DeviceURL is where those begin.
	Device    http.Handler
	DeviceURL string
	// Site is the name that people see; default is Issuer's host.
	Site string
	// Logger gets a line for each grant, refusal of one and replay; default
	// slog.Default. It never gets a secret.
	Logger *slog.Logger
}

// Provider is an OpenID provider: an http.Handler for /oidc/ and for the two
// documents under /.well-known/. Safe for concurrent use. It starts nothing.
type Provider struct {
	o     Options
	base  string // the issuer
	pages *template.Template
	mux   http.Handler
}

// New makes a Provider.
func New(o Options) (*Provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("oidc: Options.Issuer has to be an http or https URL without a path, like https://id.example.com")
	}
	if o.Client == nil || o.Session == nil || o.SignIn == nil || o.SignOut == nil || o.Claims == nil || o.Store == nil || o.Keys == nil {
		return nil, errors.New("oidc: Options.Client, Session, SignIn, SignOut, Claims, Store and Keys are required")
	}
	if o.Site == "" {
		o.Site = u.Hostname()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Provider{o: o, base: u.Scheme + "://" + u.Host}
	if p.pages, err = template.ParseFS(ui, "ui/*.html"); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	p.mux = p.routes()
	return p, nil
}

// ServeHTTP is http.Handler's.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	p.mux.ServeHTTP(w, r)
}

func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	pages := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			harden(w.Header())
			h(w, r)
		})
	}
	pages("GET /oidc/authorize", p.getAuthorize)
	pages("POST /oidc/authorize", p.postAuthorize)
	pages("GET /oidc/logout", p.getLogout)
	pages("POST /oidc/logout", p.postLogout)
	// What these two do is asked for by our own pages only.
	cross := http.NewCrossOriginProtection()
	own := func(pattern string, h http.HandlerFunc) { pages(pattern, cross.Handler(h).ServeHTTP) }
	own("POST /oidc/consent", p.postConsent)
	own("POST /oidc/logout/confirm", p.postConfirm)
	// Programs ask these, also scripts of other origins; none looks at a cookie.
	program := func(path, methods string, h http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			qrlogin.Harden(w.Header())
			w.Header().Set("Access-Control-Allow-Origin", "*")
			switch {
			case r.Method == http.MethodOptions:
				w.Header().Set("Access-Control-Allow-Methods", methods)
				w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				w.WriteHeader(http.StatusNoContent)
			case !slices.Contains(strings.Split(methods, ", "), r.Method):
				w.Header().Set("Allow", methods)
				p.refuse(w, r, fault{http.StatusMethodNotAllowed, "invalid_request", "The method is not one of " + methods + "."})
			default:
				h(w, r)
			}
		})
	}
	program("/oidc/token", "POST", p.postToken)
	program("/oidc/revoke", "POST", p.postRevoke)
	program("/oidc/userinfo", "GET, POST", p.getUserinfo)
	program("/oidc/jwks", "GET", p.getJWKS)
	program("/.well-known/openid-configuration", "GET", p.getMetadata)
	program("/.well-known/oauth-authorization-server", "GET", p.getMetadata)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		harden(w.Header())
		p.page(w, http.StatusNotFound, "There is nothing here", "Go back to the app that sent you.")
	})
	return mux
}

// harden is for pages. Their forms tell where they come from, which
// CrossOriginProtection wants to know, and other sites learn nothing.
func harden(h http.Header) {
	qrlogin.Harden(h)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", policy("'self'"))
}

func policy(forms string) string {
	return "default-src 'none'; style-src 'self'; img-src 'self'; form-action " + forms + "; base-uri 'none'; frame-ancestors 'none'"
}

// EndSession ends all that apps got through a session, at their next request:
// to be called when it ends because its user wants it to.
func (p *Provider) EndSession(ctx context.Context, id string) error {
	return p.end(ctx, "session "+id)
}

// EndUser ends all that apps got for a user.
func (p *Provider) EndUser(ctx context.Context, user string) error { return p.end(ctx, "user "+user) }
