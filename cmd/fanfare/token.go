package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// tokenCmd are the commands on tokens.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token for a user."`
	Show   tokenShowCmd   `cmd:"" help:"Show what is in a token, without checking it."`
}

type tokenCreateCmd struct {
	User string `placeholder:"USER" help:"Who the token is for."`
	TTL  span   `name:"ttl" default:"1h" placeholder:"TIME" help:"How long it is good for; 24h is the most."`
	granting
	keyed
	output
}

// Help is part of kong.HelpProvider.
func (tokenCreateCmd) Help() string {
	return examples("fanfare token create --user ann --subscribe 'orders:*'",
		"TOKEN=$(fanfare token create --user ann --subscribe chat:1 --publish chat:1 --ttl 15m)")
}

// Run makes the token. It stands alone on stdout, so that a script can take it.
func (c *tokenCreateCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	body := map[string]any{"grants": c.grants(), "ttl": int64(time.Duration(c.TTL).Seconds())}
	if c.User != "" {
		body["user"] = c.User
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodPost, "/v1/tokens", body, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var t struct {
		Token   string `json:"token"`
		Expires moment `json:"expires"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if c.empty() {
		fmt.Fprintln(con.Err, con.paint(amber, "This token may do nothing: it has no --subscribe and no --publish."))
	}
	fmt.Fprintln(con.Err, con.paint(dim, "expires "+expiry(t.Expires.Time, time.Now())))
	_, err = fmt.Fprintln(con.Out, t.Token)
	return err
}

type tokenShowCmd struct {
	Token string `arg:"" help:"The token, or - to read it from standard input."`
	output
}

// Help is part of kong.HelpProvider.
func (tokenShowCmd) Help() string {
	return examples(`fanfare token show "$TOKEN"`, "pbpaste | fanfare token show -")
}

// claims are those of a token that Fanfare reads (PROTOCOL.md, clause 8.4).
type claims struct {
	Header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}
	Subject string          `json:"sub"`
	Expires *json.Number    `json:"exp"`
	Issued  *json.Number    `json:"iat"`
	Grants  protocol.Grants `json:"grants"`
}

// Run shows the token's content.
func (c *tokenShowCmd) Run(con *console) error {
	text := c.Token
	if text == "-" {
		raw, err := io.ReadAll(io.LimitReader(con.In, 64<<10))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		text = string(raw)
	}
	header, payload, err := splitToken(strings.TrimSpace(text))
	if err != nil {
		return &failure{Message: "this is no token: " + err.Error(), Remedy: "A token has three parts with a dot between them and begins with eyJ.", Usage: true}
	}
	if c.JSON {
		return writeJSON(con.Out, map[string]json.RawMessage{"header": header, "claims": payload})
	}
	var t claims
	if err := errors.Join(json.Unmarshal(header, &t.Header), json.Unmarshal(payload, &t)); err != nil {
		return &failure{Message: "this token's claims do not have the form that Fanfare reads: " + err.Error(), Remedy: "fanfare token show --json shows it as it is.", Err: err}
	}
	ends := "never: without exp it is token_invalid"
	if at := seconds(t.Expires); !at.IsZero() {
		ends = expiry(at, time.Now())
	}
	k := keyInfo{Grants: t.Grants}
	fmt.Fprintln(con.Err, con.paint(dim, "Not checked: anybody can write a token; only the server knows whether it is good."))
	return con.writeFields("algorithm", t.Header.Alg, "signed by", t.Header.Kid, "user", t.Subject,
		"issued", date(seconds(t.Issued)), "expires", ends, "may", k.grants())
}

// splitToken decodes the first two parts of a JWT; each is a JSON object.
func splitToken(text string) (header, payload json.RawMessage, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("it has %d parts, not 3", len(parts))
	}
	for i, to := range []*json.RawMessage{&header, &payload} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[i], "="))
		if err != nil {
			return nil, nil, fmt.Errorf("part %d is not base64url", i+1)
		}
		if !json.Valid(raw) || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
			return nil, nil, fmt.Errorf("part %d is no JSON object", i+1)
		}
		*to = raw
	}
	return header, payload, nil
}

// seconds is a JWT's time, whole or with a fraction; the zero time for none.
func seconds(n *json.Number) time.Time {
	if n == nil {
		return time.Time{}
	}
	f, err := n.Float64()
	if err != nil || f <= 0 || f > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(f), 0)
}
