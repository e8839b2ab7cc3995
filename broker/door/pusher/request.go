package pusher

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// maxBody is the most bytes of a request: a batch of ten events of 10 KiB, each
// byte of which JSON may write as six.
const maxBody = 1 << 20

// fault is what a server is told is wrong: a status and a line of text, which
// is what Pusher's libraries read.
type fault struct {
	status int
	text   string
	after  time.Duration
}

func (f *fault) Error() string { return f.text }

func faultf(status int, text string) error { return &fault{status: status, text: text} }

// call is one request of a server that has proved who it is.
type call struct {
	*http.Request
	pass *tenant.Pass
	body []byte
}

// routes are those of the HTTP API.
func (d *Door) routes() *http.ServeMux {
	mux := http.NewServeMux()
	const app = "/apps/{app_id}"
	for pattern, fn := range map[string]func(*call) (any, error){
		"POST " + app + "/events":                             d.events,
		"POST " + app + "/batch_events":                       d.batch,
		"POST " + app + "/channels/{channel}/events":          d.oldEvent,
		"GET " + app + "/channels":                            d.channels,
		"GET " + app + "/channels/{channel}":                  d.channel,
		"GET " + app + "/channels/{channel}/users":            d.users,
		"POST " + app + "/users/{user}/events":                d.userEvent,
		"POST " + app + "/users/{user}/terminate_connections": d.terminate,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { d.answer(w, r, pattern, fn) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Not found", http.StatusNotFound) })
	return mux
}

// answer carries out one request.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, pattern string, fn func(*call) (any, error)) {
	began, status := time.Now(), http.StatusOK
	method, route, _ := strings.Cut(pattern, " ")
	defer func() { d.o.Stats.Request(route, method, status, time.Since(began)) }()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c, err := d.prove(w, r)
	var out any
	if err == nil {
		out, err = fn(c)
	}
	if err != nil {
		f := d.judge(c, err)
		if status = f.status; f.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((f.after+time.Second-1)/time.Second)))
		}
		http.Error(w, f.text, status)
		return
	}
	if out == nil {
		status, out = http.StatusAccepted, struct{}{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(out) // who does not read the answer is gone
}

// judge is what is told of err.
func (d *Door) judge(c *call, err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	var app protocol.AppID
	if c != nil {
		app = c.pass.App
	}
	e := d.failed("request", app, err)
	f := &fault{e.Status(), e.Message + " " + e.Remedy, e.RetryAfter}
	if e.Code == protocol.CodeMessageTooLarge {
		f.text = tooLarge
	}
	return f
}

// prove finds out who sends a request. It tells nobody whether an app or a key
// is there who does not have its secret.
func (d *Door) prove(w http.ResponseWriter, r *http.Request) (*call, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, faultf(http.StatusRequestEntityTooLarge, "The request body is too large.")
		}
		return nil, faultf(http.StatusBadRequest, "The request body was cut off.")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, faultf(http.StatusBadRequest, "The query is not valid.")
	}
	params := map[string][]string{}
	for name, values := range q {
		params[strings.ToLower(name)] = append(params[strings.ToLower(name)], values...)
	}
	one := func(name string) string {
		if len(params[name]) == 1 {
			return params[name][0]
		}
		return ""
	}
	signed, err := strconv.ParseInt(one("auth_timestamp"), 10, 64)
	if err != nil || one("auth_key") == "" || one("auth_signature") == "" {
		return nil, faultf(http.StatusUnauthorized, "Each of auth_key, auth_timestamp and auth_signature is needed once.")
	}
	if v := one("auth_version"); v != "1.0" {
		return nil, faultf(http.StatusUnauthorized, "The auth_version must be 1.0.")
	}
	pass, err := d.o.Tenants.Pass(tenant.DoorPusher, one("auth_key"))
	if err != nil || pass.Keys[tenant.RoleAppID] != r.PathValue("app_id") {
		if e := protocol.AsError(err); e != nil && e.Code != protocol.CodeKeyInvalid {
			return nil, faultf(http.StatusForbidden, e.Message)
		}
		return nil, faultf(http.StatusUnauthorized, "Unknown auth_key for this app_id.")
	}
	if len(body) > 0 {
		sum := md5.Sum(body)
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(one("body_md5")))) != 1 {
			return nil, faultf(http.StatusUnauthorized, "The body_md5 is not that of the body.")
		}
	}
	if !proven(pass.Secret, r, params, one("auth_signature")) {
		return nil, faultf(http.StatusUnauthorized, "Invalid signature.")
	}
	now := time.Now()
	if at := time.Unix(signed, 0); at.Before(now.Add(-clockSkew)) || at.After(now.Add(clockSkew)) {
		return nil, faultf(http.StatusUnauthorized, "Timestamp expired: given timestamp not within 600s of server time.")
	}
	if !d.spent.take(one("auth_signature"), signed, now) {
		return nil, faultf(http.StatusUnauthorized, "This request was sent before: sign it anew.")
	}
	if !utf8.Valid(body) {
		return nil, faultf(http.StatusBadRequest, "The body is not UTF-8.")
	}
	return &call{r, pass, body}, nil
}

// proven reports whether a request has the right signature. Libraries differ in
// whether they sign the path as it is or as it is written.
func proven(secret []byte, r *http.Request, params map[string][]string, signature string) bool {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if name == "auth_signature" {
			continue
		}
		for _, v := range params[name] {
			list = append(list, name+"="+v)
		}
	}
	query := strings.Join(list, "&")
	plain := signed(secret, r.Method+"\n"+r.URL.Path+"\n"+query, signature)
	written := signed(secret, r.Method+"\n"+r.URL.EscapedPath()+"\n"+query, signature)
	return plain || written
}

// read decodes the body.
func (c *call) read(into any) error {
	if err := json.Unmarshal(c.body, into); err != nil {
		return faultf(http.StatusBadRequest, "The body is not a JSON object of the right form.")
	}
	return nil
}
