package goeasy

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/fanfarehq/fanfare/broker/hub"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// restCall carries out one call of a server and returns its content.
type restCall func(r *http.Request, p params, c *client, who *tenant.Principal) (any, error)

// restAnswer is what servers get.
type restAnswer struct {
	Code    int `json:"code"`
	Content any `json:"content"`
}

// rest is a call as an address: what comes as JSON, as a form or in the query
// is taken alike.
func (d *Door) rest(call restCall) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		p, err := readParams(w, r)
		var content any
		if err == nil {
			var c *client
			var who *tenant.Principal
			if c, who, err = d.server(p); err == nil {
				content, err = call(r, p, c, who)
			}
		}
		out := restAnswer{http.StatusOK, content}
		if err != nil {
			e := refusal(err)
			d.refused(err)
			out = restAnswer{e.Code, e.Content}
			if after := protocol.AsError(err).RetryAfter; after > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.WriteHeader(out.Code)
		_, _ = w.Write(encode(out)) // who has left needs no answer
	}
}

// server is who calls: with the REST key one that may do all, with the common
// key no more than a client with it, since it stands in pages.
func (d *Door) server(p params) (*client, *tenant.Principal, error) {
	pass, err := d.o.Keys.Pass(tenant.DoorGoEasy, p.text("appkey"))
	if err != nil {
		return nil, nil, unknownKey(err)
	}
	c := &client{pass: pass}
	all := []string{"*"}
	switch pass.Role {
	case tenant.RoleRest:
		return c, pass.Agent(), nil
	case tenant.RoleCommon:
		return c, pass.Guest("", protocol.Grants{Subscribe: all, Publish: all, History: all, Presence: all}), nil
	}
	e := protocol.Errorf(protocol.CodeKeyKind, "This key is for clients.")
	e.Remedy = "Call with the REST key, or the common key."
	return nil, nil, e
}

func (d *Door) restPublish(r *http.Request, p params, c *client, who *tenant.Principal) (any, error) {
	if r.Method != http.MethodPost {
		return nil, protocol.NewError(protocol.CodeMethodNotAllowed)
	}
	qos, err := p.number("qos")
	if err != nil {
		return nil, err
	}
	n := int(qos)
	l := letter{Channel: p.text("channel"), Content: p.value("content"), GUID: p.text("guid"), QoS: &n, Access: p.text("accessToken")}
	if err := ownChannel(l.Channel); err != nil {
		return nil, err
	}
	return "OK", d.post(r.Context(), c, who, hub.Origin{}, &l)
}

func (d *Door) restHistory(r *http.Request, p params, c *client, who *tenant.Principal) (any, error) {
	q := span{Channel: p.text("channel")}
	var numbers [3]int64
	for i, name := range []string{"start", "end", "limit"} {
		var err error
		if numbers[i], err = p.number(name); err != nil {
			return nil, err
		}
	}
	q.Start, q.End, q.Limit = numbers[0], numbers[1], int(min(numbers[2], historyMost+1))
	ch, err := channelOf(q.Channel)
	if err == nil {
		err = ownChannel(q.Channel)
	}
	if err == nil && who.Kind != tenant.KindAgent {
		err = d.mayUse(c, ch, p.text("accessToken"), false)
	}
	if err != nil {
		return nil, err
	}
	return d.past(r.Context(), who, ch, &q)
}

func (d *Door) restHereNow(r *http.Request, p params, c *client, who *tenant.Principal) (any, error) {
	w := wish{Channels: p.texts("channel")}
	channels, err := w.names()
	if err != nil {
		return nil, err
	}
	for i, ch := range channels {
		if err := ownChannel(w.Channels[i]); err != nil {
			return nil, err
		}
		if who.Kind != tenant.KindAgent {
			if err := d.mayUse(c, ch, p.text("accessToken"), false); err != nil {
				return nil, err
			}
		}
	}
	q := oldQuery{Users: p.text("includeUsers") == "true", Distinct: p.text("distinct") == "true"}
	return d.oldRooms(r.Context(), who, channels, &q, true)
}

// ownChannel refuses the channels that are another door's own.
func ownChannel(name string) error {
	if strings.HasPrefix(name, "#") {
		return protocol.Errorf(protocol.CodeNotGranted, "Channels that begin with # are not GoEasy's.")
	}
	return nil
}

// params are what a call says, by name: JSON values, one or more.
type params map[string][]json.RawMessage

const maxBody = 2 << 20

// readParams reads a request's query and body.
func readParams(w http.ResponseWriter, r *http.Request) (params, error) {
	p := params{}
	p.add(r.URL.Query())
	if r.Method != http.MethodPost {
		if r.Method != http.MethodGet {
			return nil, protocol.NewError(protocol.CodeMethodNotAllowed)
		}
		return p, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, protocol.NewError(protocol.CodeBodyTooLarge)
	case err != nil:
		return nil, badCall("The body could not be read.")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if text := strings.TrimSpace(string(body)); kind == "application/json" || strings.HasPrefix(text, "{") {
		return p, p.addJSON([]byte(text)) // curl -d says that it is a form
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badCall("The body is neither JSON nor a form.")
	}
	p.add(form)
	return p, nil
}

func (p params) add(form url.Values) {
	for name, values := range form {
		for _, v := range values {
			p[name] = append(p[name], quote(v))
		}
	}
}

// addJSON takes an object, also one that is only close to JSON.
func (p params) addJSON(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		strict, lerr := strictJSON(text)
		if lerr != nil || json.Unmarshal(strict, &object) != nil {
			return badCall("The body is no JSON object.")
		}
	}
	for name, v := range object {
		p[name] = []json.RawMessage{v}
	}
	return nil
}

func (p params) value(name string) json.RawMessage {
	if all := p[name]; len(all) > 0 {
		return all[0]
	}
	return nil
}

// text is a value as text: a string's, or as it is written.
func (p params) text(name string) string { return content(p.value(name)) }

func (p params) texts(name string) []string {
	var out []string
	for _, v := range p[name] {
		var list []string
		if json.Unmarshal(v, &list) == nil && len(v) > 0 && v[0] == '[' {
			out = append(out, list...)
			continue
		}
		out = append(out, content(v))
	}
	return out
}

// number is a value as a whole number; 0 where there is none.
func (p params) number(name string) (int64, error) {
	text := p.text(name)
	if text == "" || text == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, badCall("The member %q is not a whole number.", name)
	}
	return n, nil
}
