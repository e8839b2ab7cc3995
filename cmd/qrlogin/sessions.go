package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// session is a browser that is signed in. Its secret is in a cookie; here is
// its hash only.
type session struct {
	ID      string // names it to people and in channels; not secret
	User    string
	Label   string // "Chrome on Linux"
	IP      string
	Via     string // how it was signed in
	Root    string // the ID of the first of those that followed each other as the user signed in anew
	Passed  bool   // let in by another device, so of limited power
	Device  bool   // a thing that has a token, and no cookie
	Created time.Time
	Seen    time.Time

	pass qrlogin.Hash // of what shows at proxies that somebody is signed in; zero: none was asked for
}

const (
	sessionLife    = 30 * 24 * time.Hour
	sessionIdle    = 12 * time.Hour
	maxPerUser     = 50
	sessionSeenGap = time.Minute // how exact Seen is
)

// sessions are all signed-in browsers, in memory: a restart signs everybody
// out. Safe for concurrent use; bounded by maxPerUser for each user.
type sessions struct {
	passKey string

	mu     sync.Mutex
	m      map[qrlogin.Hash]session
	byUser map[string][]qrlogin.Hash     // the oldest first
	passes map[qrlogin.Hash]qrlogin.Hash // of a pass, that of its session's secret
	swept  time.Time
}

func newSessions() *sessions {
	return &sessions{passKey: rand.Text(), m: map[qrlogin.Hash]session{}, byUser: map[string][]qrlogin.Hash{}, passes: map[qrlogin.Hash]qrlogin.Hash{}}
}

// passOf is the pass of the session with that secret: something else that shows
// it, for apps behind proxies to see, which are not to see the secret.
func (s *sessions) passOf(secret string) (pass string, ok bool) {
	mac := hmac.New(sha256.New, []byte(s.passKey))
	_, _ = mac.Write([]byte(secret)) // a hash does not fail
	pass = hex.EncodeToString(mac.Sum(nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	h := qrlogin.HashOf(secret)
	one, ok := s.m[h]
	if !ok || over(one) {
		return "", false
	}
	one.pass = qrlogin.HashOf(pass)
	s.m[h], s.passes[one.pass] = one, h
	return pass, true
}

// byPass is the live session of a pass.
func (s *sessions) byPass(pass string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(s.passes[qrlogin.HashOf(pass)])
}

// add makes a session and returns its secret. The user's oldest goes where
// there are too many.
func (s *sessions) add(one session) (secret string, added session) {
	secret = rand.Text() + rand.Text()
	one.ID, one.Created = rand.Text(), time.Now()
	one.Seen = one.Created
	if one.Root == "" {
		one.Root = one.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if mine := s.byUser[one.User]; len(mine) >= maxPerUser {
		s.drop(mine[0])
	}
	h := qrlogin.HashOf(secret)
	s.m[h] = one
	s.byUser[one.User] = append(s.byUser[one.User], h)
	return secret, one
}

// get is the live session of a secret.
func (s *sessions) get(secret string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(qrlogin.HashOf(secret))
}

func (s *sessions) live(h qrlogin.Hash) (session, bool) {
	one, ok := s.m[h]
	if !ok || over(one) {
		return session{}, false
	}
	if time.Since(one.Seen) > sessionSeenGap {
		one.Seen = time.Now()
		s.m[h] = one
	}
	return one, true
}

// list are a user's sessions, newest first.
func (s *sessions) list(user string) (out []session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range slices.Backward(s.byUser[user]) {
		if one := s.m[h]; !over(one) {
			out = append(out, one)
		}
	}
	return out
}

// end ends a user's session by its id.
func (s *sessions) end(user, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.byUser[user] {
		if s.m[h].ID == id {
			s.drop(h)
			return true
		}
	}
	return false
}

func (s *sessions) drop(h qrlogin.Hash) {
	one := s.m[h]
	user := one.User
	delete(s.m, h)
	delete(s.passes, one.pass)
	s.byUser[user] = slices.DeleteFunc(s.byUser[user], func(other qrlogin.Hash) bool { return other == h })
	if len(s.byUser[user]) == 0 {
		delete(s.byUser, user)
	}
}

// forget drops what is over, now and then: it looks at all of them.
func (s *sessions) forget() {
	if time.Since(s.swept) < time.Minute {
		return
	}
	s.swept = time.Now()
	for h, one := range s.m {
		if over(one) {
			s.drop(h)
		}
	}
}

// limited reports whether the session may not change how its user signs in:
// somebody who was let in by a trick must not be able to stay.
func (s session) limited() bool { return s.Passed }

func over(one session) bool {
	return time.Since(one.Created) > sessionLife || time.Since(one.Seen) > sessionIdle
}
