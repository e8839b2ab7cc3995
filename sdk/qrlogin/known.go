package qrlogin

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Known is a browser from which a user was signed in before.
type Known struct {
	Browser Hash   // of its cookie, which is new at each sign-in
	Before  Hash   // of the cookie that it had before: that entry goes; zero is none
	User    User   // without Session
	Label   string // "Chrome on Linux"
	Ask     bool   // the user ticked "remember": it may ask without a code
	Seen    time.Time
}

// KnownBrowsers remembers browsers, so that the next sign-in from one is less
// suspicious, and needs no code where the user likes it so. Methods are called
// from many goroutines.
type KnownBrowsers interface {
	// Known is the entry of that user and browser, ok false where there is none.
	Known(ctx context.Context, userID string, browser Hash) (k Known, ok bool, err error)
	// Asker is the one user whom that browser may ask, if any: the last one
	// that ticked "remember".
	Asker(ctx context.Context, browser Hash) (k Known, ok bool, err error)
	// Remember puts k in place of what is there of that user and of the browser
	// that it is or was before.
	Remember(ctx context.Context, k Known) error
}

// knownLife is how long a browser stays known without a sign-in.
const knownLife = 180 * 24 * time.Hour

// knownMemory keeps known browsers in memory, bounded; who is forgotten is
// asked for digits once more. Safe for concurrent use.
type knownMemory struct {
	mu sync.Mutex
	m  map[knownKey]Known
}

type knownKey struct {
	user    string
	browser Hash
}

const maxKnown = 100_000

func newKnownMemory() *knownMemory { return &knownMemory{m: map[knownKey]Known{}} }

func (m *knownMemory) Known(_ context.Context, userID string, browser Hash) (Known, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.m[knownKey{userID, browser}]
	return k, ok && time.Since(k.Seen) < knownLife, nil
}

func (m *knownMemory) Asker(_ context.Context, browser Hash) (found Known, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, k := range m.m {
		if key.browser == browser && k.Ask && time.Since(k.Seen) < knownLife && k.Seen.After(found.Seen) {
			found, ok = k, true
		}
	}
	return found, ok, nil
}

func (m *knownMemory) Remember(_ context.Context, k Known) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.m {
		if len(m.m) < maxKnown {
			break
		}
		delete(m.m, key)
	}
	delete(m.m, knownKey{k.User.ID, k.Before})
	m.m[knownKey{k.User.ID, k.Browser}] = k
	return nil
}

// The cookie that makes a browser known again. It proves nothing alone: it
// only makes a sign-in less suspicious, and lets its browser ask.
func (s *Server) knownName(r *http.Request) string {
	if s.overTLS(r) {
		return "__Host-qrb"
	}
	return "qrb"
}

// browserKey is the hash of the browser's known-again cookie. A value that
// does not have the form of ours counts for none.
func (s *Server) browserKey(r *http.Request) Hash {
	c, err := r.Cookie(s.knownName(r))
	if err != nil || len(c.Value) != 52 || !isID(c.Value[:26]) || !isID(c.Value[26:]) {
		return Hash{}
	}
	return s.keyed("browser", c.Value)
}

// nameBrowser gives the browser a new known-again cookie, at each sign-in: a
// copy of an older one is worth nothing then.
func (s *Server) nameBrowser(w http.ResponseWriter, r *http.Request) Hash {
	value := newSecret()
	http.SetCookie(w, &http.Cookie{
		Name: s.knownName(r), Value: value, Path: "/", MaxAge: int(knownLife.Seconds()),
		HttpOnly: true, Secure: s.overTLS(r), SameSite: http.SameSiteLaxMode,
	})
	return s.keyed("browser", value)
}

// remember notes that the browser of a was signed in.
func (s *Server) remember(w http.ResponseWriter, r *http.Request, a Attempt) {
	old, _, err := s.o.Known.Known(r.Context(), a.UserID, a.BrowserKey)
	if err == nil {
		err = s.o.Known.Remember(r.Context(), Known{
			Browser: s.nameBrowser(w, r), Before: a.BrowserKey, User: User{ID: a.UserID, Name: a.UserName}, Label: a.Browser.Label(),
			Ask: a.Remember || old.Ask, Seen: time.Now(),
		})
	}
	if err != nil { // a nuisance at the next sign-in, no more
		s.o.Logger.Warn("qrlogin: a browser could not be remembered", "attempt", a.ID, "error", err)
	}
}

// known reports whether the user was signed in from the attempt's browser. An
// error is a no.
func (s *Server) known(ctx context.Context, userID string, browser Hash) bool {
	if browser == (Hash{}) {
		return false
	}
	_, ok, err := s.o.Known.Known(ctx, userID, browser)
	if err != nil {
		s.o.Logger.Warn("qrlogin: the known browsers cannot be read", "error", err)
	}
	return ok && err == nil
}
