package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/fanfarehq/fanfare/broker"
)

// cluster says which nodes there are, as the server sees it. Only the server's
// own account may know.
func (p *patient) cluster(ctx context.Context) finding {
	if p.up == nil {
		return skip("no server answers")
	}
	token, given, err := p.con.Settings.find("account_token")
	if err != nil {
		return skip("%s", err.Error())
	}
	if !given {
		token, given = p.con.Settings.findInFolder("account_token", p.cmd.URL)
	}
	if !given {
		return skip("the account token, by which it is asked for, is not known here")
	}
	r, err := newREST(p.cmd.URL, token.value)
	if err != nil {
		return skip("%s", err.Error())
	}
	var s broker.ClusterState
	if err := r.do(ctx, http.MethodGet, broker.ClusterPath, nil, &s); err != nil {
		message, _ := words(err)
		return skip("the server does not tell: %s", message)
	}
	if s.Name == "" {
		return ok("none: this is a single server")
	}
	var names, deaf []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
		if !n.Hears {
			deaf = append(deaf, n.Name)
		}
	}
	detail := fmt.Sprintf("%s: %d nodes are here (%s)", s.Name, len(names), strings.Join(names, ", "))
	if s.Encrypted != "" {
		detail += ", what they tell each other is encrypted (" + s.Encrypted + ")"
	}
	switch {
	case !s.Ready:
		return fail(detail+"; the one that answers is not ready: "+s.Why, "Look at its log, and at the other nodes'.")
	case len(s.Nodes) < s.Size:
		return warn(fmt.Sprintf("%s of %d", detail, s.Size), "Start the others: with one more gone, the cluster may stop.")
	case len(deaf) > 0:
		return warn(detail+"; this one is not heard by "+strings.Join(deaf, ", "), "See that each node reaches each other one on its cluster address.")
	}
	return ok("%s", detail)
}
