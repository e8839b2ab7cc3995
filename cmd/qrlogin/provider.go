package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// openApps opens what the provider keeps: who may ask, what it signs with, and
// what it has promised, which is in Fanfare.
func openApps(c config, src *source, log *slog.Logger) (*clients, *oidc.Keys, oidc.Store, error) {
	apps, err := openClients(clientsPath(c), log)
	if err != nil {
		return nil, nil, nil, err
	}
	keys, err := oidc.OpenKeys(filepath.Join(c.data, "keys.json"))
	if err != nil {
		return nil, nil, nil, err
	}
	grants, err := oidc.NewRecords(src.client, keys.Secret())
	return apps, keys, grants, err
}

// newProvider makes "sign in with this site" for other apps.
func (a *app) newProvider() (*oidc.Provider, error) {
	o := oidc.Options{
		Issuer: a.o.publicURL, Client: a.client, Session: a.oidcSession, SignIn: a.signInForApp, SignOut: a.signOut, Claims: a.claims,
		Store: a.o.grants, Keys: a.o.keys, Site: a.o.site, Logger: a.o.log,
	}
	if o.Store == nil {
		o.Store = oidc.NewMemory()
	}
	if len(a.o.devices) > 0 {
		o.DeviceURL = strings.TrimSuffix(a.o.publicURL, "/") + "/qr/oauth/device_authorization"
		o.Device = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.URL.Path = "/qr/oauth/token"
			a.qr.ServeHTTP(w, r)
		})
	}
	return oidc.New(o)
}

// client is an app of the file, or a device, which has no page to come from.
func (a *app) client(_ context.Context, id string) (oidc.Client, error) {
	for _, c := range a.o.devices {
		if c.ID == id {
			return deviceClient(c), nil
		}
	}
	return a.o.clients.get(id)
}

// oidcSession is who is signed in, for apps. Their tokens hang on the root, so
// that they outlive a fresh sign-in.
func (a *app) oidcSession(r *http.Request) (oidc.Session, error) {
	s, ok := a.current(r)
	if !ok {
		return oidc.Session{}, qrlogin.ErrNotSignedIn
	}
	one, _ := a.users.get(s.User)
	return oidc.Session{ID: s.Root, User: s.User, Name: one.Name, Since: s.Created}, nil
}

// signInForApp shows the login page, and then goes on with what the app asked.
func (a *app) signInForApp(w http.ResponseWriter, r *http.Request, next, hint string) {
	q := url.Values{"next": {next}}
	if hint != "" {
		q.Set("login_hint", hint)
	}
	http.Redirect(w, r, "/login?"+q.Encode(), http.StatusSeeOther)
}

func (a *app) claims(_ context.Context, user string) (map[string]any, error) {
	one, _ := a.users.get(user)
	return map[string]any{"name": one.Name, "preferred_username": one.ID}, nil
}

// userinfo is the provider's, at the address where devices look for it.
func (a *app) userinfo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = "/oidc/userinfo"
		a.oidc.ServeHTTP(w, r)
	})
}
