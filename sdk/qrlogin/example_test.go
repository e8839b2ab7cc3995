package qrlogin_test

import (
	"context"
	"log"
	"net/http"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// Two callbacks join QR login to an app's own sessions.
func Example() {
	ff, err := fanfare.New("https://push.example.com", "ffs_…")
	if err != nil {
		log.Print(err)
		return
	}
	qr, err := qrlogin.New(qrlogin.Options{
		Fanfare: ff, FanfareURL: "https://push.example.com", PublicURL: "https://id.example.com",
		PhoneUser: func(r *http.Request) (qrlogin.User, error) { return currentUser(r) },
		OnLogin:   func(w http.ResponseWriter, r *http.Request, l qrlogin.Login) error { return newSession(w, l.User.ID) },
	})
	if err != nil {
		log.Print(err)
		return
	}
	for _, path := range []string{"/qr/", "/q/", "/Q/"} {
		http.Handle(path, qr)
	}
	http.Handle("/login", qr.LoginPage())
	go qr.Run(context.Background())
}

// What every app has already.

func currentUser(r *http.Request) (qrlogin.User, error) {
	c, err := r.Cookie("__Host-session")
	if err != nil {
		return qrlogin.User{}, qrlogin.ErrNotSignedIn
	}
	return qrlogin.User{ID: "42", Name: "Ada", Session: c.Name}, nil
}

func newSession(w http.ResponseWriter, userID string) error {
	http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "…", Path: "/", Secure: true, HttpOnly: true})
	return nil
}
