package main

import (
	"context"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// deviceToken makes a session for a device, and tokens that end with it. So a
// device stands in the list of devices, and can be ended there.
func (a *app) deviceToken(ctx context.Context, l qrlogin.Login, c qrlogin.DeviceClient, scope string) (qrlogin.DeviceToken, error) {
	_, s := a.sessions.add(session{User: l.User.ID, Label: c.Name, IP: l.Browser.IP, Via: "Code, confirmed on " + l.Phone.Label(), Passed: true, Device: true})
	t, err := a.oidc.Grant(ctx, oidc.Session{ID: s.Root, User: s.User, Since: s.Created}, deviceClient(c), scope)
	if err != nil {
		a.sessions.end(s.User, s.ID)
		return qrlogin.DeviceToken{}, err
	}
	a.tell(s.User, "signed_in", s)
	return qrlogin.DeviceToken{AccessToken: t.Access, RefreshToken: t.Refresh, IDToken: t.ID, ExpiresIn: time.Duration(t.Expires) * time.Second}, nil
}

// deviceClient is a device's client as the provider knows it: one that may
// refresh its tokens, and has no page to come from.
func deviceClient(c qrlogin.DeviceClient) oidc.Client {
	return oidc.Client{ID: c.ID, Name: c.Name, Secret: c.Secret, Scopes: c.Scopes}
}
