// Command notes is a small web app: sign-in by password, and a page for who is
// signed in. Without the lines from "QR login" to "end" it works as before.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"sync"

	// QR login
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	// end
)

// app keeps who is signed in, by the cookie's value. Safe for concurrent use.
type app struct {
	mu       sync.Mutex
	sessions map[string]session
}

type session struct{ id, user string }

func (a *app) current(r *http.Request) (session, bool) {
	c, err := r.Cookie("session")
	if err != nil {
		return session{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.sessions[c.Value]
	return s, ok
}

// begin gives the browser a new session and forgets the one that it had.
func (a *app) begin(w http.ResponseWriter, r *http.Request, user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, err := r.Cookie("session"); err == nil {
		delete(a.sessions, c.Value)
	}
	value := rand.Text()
	a.sessions[value] = session{rand.Text(), user}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) // and Secure, over https
}

func passwordOf(user string) string { // yours keeps hashes
	return map[string]string{"ada": "correct horse", "bob": "battery staple"}[user]
}

// ownPath is where a sign-in may lead.
var ownPath = regexp.MustCompile(`^/(\w[\w/?=-]*)?$`)

func signIn(w http.ResponseWriter, r *http.Request, back string) {
	w.WriteHeader(http.StatusUnauthorized)
	_ = template.Must(template.New("").Parse(`<!doctype html><title>Notes</title><h1>Sign in</h1>
<form method="post" action="/signin"><input type="hidden" name="back" value="{{.}}"><input name="user" placeholder="name">
<input name="password" type="password" placeholder="password"> <button>Sign in</button></form>
<p><a href="/login">Sign in with your phone</a></p>`)).Execute(w, back)
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	s, ok := a.current(r)
	if !ok {
		signIn(w, r, "/")
		return
	}
	fmt.Fprintf(w, "<!doctype html><title>Notes</title><h1>Hello, %s</h1>", template.HTMLEscapeString(s.user))
}

func (a *app) postSignIn(w http.ResponseWriter, r *http.Request) {
	user, back := r.PostFormValue("user"), "/"
	if p := passwordOf(user); p == "" || p != r.PostFormValue("password") {
		signIn(w, r, "/")
		return
	}
	if to := r.PostFormValue("back"); ownPath.MatchString(to) {
		back = to
	}
	a.begin(w, r, user)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func run(ctx context.Context) error {
	a := &app{sessions: map[string]session{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /signin", a.postSignIn)
	// QR login
	ff, err := fanfare.New(os.Getenv("FANFARE_URL"), os.Getenv("FANFARE_SECRET_KEY"))
	if err != nil {
		return err
	}
	qr, err := qrlogin.New(qrlogin.Options{
		Fanfare: ff, FanfareURL: os.Getenv("FANFARE_URL"), SDKURL: os.Getenv("FANFARE_URL") + "/sdk/fanfare.mjs",
		PublicURL: os.Getenv("PUBLIC_URL"), SignIn: signIn,
		PhoneUser: func(r *http.Request) (qrlogin.User, error) {
			s, ok := a.current(r)
			if !ok {
				return qrlogin.User{}, qrlogin.ErrNotSignedIn
			}
			return qrlogin.User{ID: s.user, Name: s.user, Session: s.id}, nil
		},
		OnLogin: func(w http.ResponseWriter, r *http.Request, l qrlogin.Login) error {
			a.begin(w, r, l.User.ID)
			return nil
		},
	})
	if err != nil {
		return err
	}
	for _, path := range []string{"/qr/", "/q/", "/Q/"} {
		mux.Handle(path, qr)
	}
	mux.Handle("GET /login", qr.LoginPage())
	go qr.Run(ctx)
	// end
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: http.NewCrossOriginProtection().Handler(mux)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Print("listening on ", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
