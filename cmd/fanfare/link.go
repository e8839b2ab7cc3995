package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type linkCmd struct {
	admin
	output
}

// Help is part of kong.HelpProvider.
func (linkCmd) Help() string { return examples("fanfare link", `open "$(fanfare link)"`) }

// Run makes a sign-in link. It stands alone on stdout, so that a script can
// open it.
func (c *linkCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := r.do(ctx, http.MethodPost, "/v1/links", struct{}{}, &raw); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(con.Out, raw)
	}
	var l struct {
		URL     string `json:"url"`
		Code    string `json:"code"`
		Expires moment `json:"expires"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if l.URL == "" {
		l.URL = r.base + "/dashboard/#code=" + l.Code
	}
	fmt.Fprintln(con.Err, con.paint(dim, "good once, until "+expiry(l.Expires.Time, time.Now())))
	_, err = fmt.Fprintln(con.Out, l.URL)
	return err
}
