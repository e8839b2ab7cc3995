package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

type codeInput struct {
	Code string `json:"code" doc:"From a sign-in link"`
}

type linkAnswer struct {
	Code    string    `json:"code" doc:"Good for one sign-in: the dashboard takes it as /dashboard/#code="`
	Expires time.Time `json:"expires" doc:"When it ends if nobody uses it"`
}

type sessionAnswer struct {
	Expires time.Time `json:"expires" doc:"When the session ends"`
}

type (
	newSession struct{ Body codeInput }
	oneLink    struct{ Body linkAnswer }
	oneSession struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
		Body      sessionAnswer
	}
	endedSession struct {
		SetCookie http.Cookie `header:"Set-Cookie"`
	}
)

func (d *door) sessionRoutes(api huma.API) {
	token, tags := needToken(), []string{"session"}
	register(d, api, huma.Operation{OperationID: "create-link", Method: http.MethodPost, Path: "/v1/links", Tags: tags, Summary: "Make a one-time link to the dashboard", DefaultStatus: http.StatusCreated,
		Description: "Takes an account token; a session cannot make links, so that it ends when it ends."}, &token,
		func(ctx context.Context, c *call, _ *none) (*oneLink, error) {
			code, expires, err := d.sessions.NewLink(ctx, c.who.Account)
			return &oneLink{Body: linkAnswer{code, expires}}, err
		})
	register(d, api, huma.Operation{OperationID: "create-session", Method: http.MethodPost, Path: "/v1/session", Tags: tags, Summary: "Sign in with a link's code", DefaultStatus: http.StatusCreated,
		Description: "Sets the cookie " + cookieName + ", which administration takes in place of an account token."}, nil,
		func(ctx context.Context, c *call, in *newSession) (*oneSession, error) {
			r := c.echo.Request()
			if err := d.sameSite(r); err != nil { // else another site could sign a visitor in as somebody else
				return nil, err
			}
			secret, expires, err := d.sessions.RedeemLink(ctx, in.Body.Code)
			if err != nil {
				return nil, err
			}
			out := &oneSession{SetCookie: cookie(r, secret), Body: sessionAnswer{expires}}
			out.SetCookie.MaxAge = max(int(time.Until(expires).Seconds()), 1)
			return out, nil
		})
	register(d, api, huma.Operation{OperationID: "end-session", Method: http.MethodDelete, Path: "/v1/session", Tags: tags, Summary: "Sign out",
		Description: "Ends the cookie's session on the server too. Without a session it does nothing."}, nil,
		func(ctx context.Context, c *call, _ *none) (*endedSession, error) {
			r := c.echo.Request()
			if err := d.sameSite(r); err != nil {
				return nil, err
			}
			if had, err := r.Cookie(cookieName); err == nil && had.Value != "" {
				if err := d.sessions.EndSession(ctx, had.Value); err != nil {
					return nil, err
				}
			}
			out := &endedSession{SetCookie: cookie(r, "")}
			out.SetCookie.MaxAge = -1
			return out, nil
		})
}

// cookie is the session's cookie: out of reach of scripts and of other sites.
// X-Forwarded-Proto may be forged, but only to make one's own cookie stricter.
func cookie(r *http.Request, value string) http.Cookie {
	return http.Cookie{
		Name: cookieName, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}
