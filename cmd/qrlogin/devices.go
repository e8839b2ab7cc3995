package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// deviceToken makes a session for a device; its access token is the session's
// secret. So a device stands in the list of devices, and can be ended there.
func (a *app) deviceToken(_ context.Context, l qrlogin.Login, c qrlogin.DeviceClient, _ string) (qrlogin.DeviceToken, error) {
	secret, s := a.sessions.add(session{User: l.User.ID, Label: c.Name, IP: l.Browser.IP, Via: "Code, confirmed on " + l.Phone.Label(), Passed: true, Device: true})
	a.tell(s.User, "signed_in", s)
	return qrlogin.DeviceToken{AccessToken: secret, ExpiresIn: sessionLife}, nil
}

// getUserinfo tells a device whose it is.
func (a *app) getUserinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s, ok := a.sessions.get(token)
	if !ok || !s.Device {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		jsonFault(w, http.StatusUnauthorized, "The token is not known or has ended.")
		return
	}
	one, _ := a.users.get(s.User)
	jsonAnswer(w, http.StatusOK, map[string]string{"sub": s.User, "name": one.Name})
}
