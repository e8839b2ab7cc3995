package main

import (
	"strings"
	"testing"
)

func TestUsageAndAccounts(t *testing.T) {
	s := serve(t)
	for range 3 {
		s.ok(t, "pub", "public:a", `"twelve bytes"`)
	}
	for _, args := range [][]string{{"usage"}, {"usage", "demo", "--by", "minute"}, {"usage", "--by", "month"}} {
		out := s.ok(t, args...)
		lines := strings.Split(out, "\n")
		if !strings.HasPrefix(lines[0], "UTC ") || !strings.Contains(out, "total ") || !strings.Contains(out, "3         42 B") || !strings.Contains(out, "messages stored  3") {
			t.Errorf("%q:\n%s", args, out)
		}
	}
	if out := s.ok(t, "usage", "--by", "month", "--csv"); !strings.HasPrefix(out, "start,messages,bytes,delivered,refused,peak_connections\n") || !strings.Contains(out, ",3,42,") {
		t.Errorf("a table:\n%s", out)
	}
	s.fails(t, 1, "[not_granted]", "pub", "--key", readEnvFile(s.dir + "/demo.env").values["FANFARE_PUBLISHABLE_KEY"], "public:a", "1")
	if out := s.ok(t, "app", "refusals", "demo"); !strings.Contains(out, "not_granted  rest  POST /v1/messages") || !strings.Contains(out, "Grant the action") {
		t.Errorf("refusals:\n%s", out)
	}
	if out := s.ok(t, "app", "connections", "demo", "--user", "ann"); !strings.HasPrefix(out, "SESSION") {
		t.Errorf("connections:\n%s", out)
	}
	made := s.ok(t, "account", "create", "acme", "--plan", "custom", "--messages", "5000")
	if !strings.Contains(made, "ffa_") || !strings.Contains(made, "messages  5000") {
		t.Errorf("a new account:\n%s", made)
	}
	_, rest, _ := strings.Cut(made, "account")
	id := strings.Fields(rest)[0]
	if out := s.ok(t, "account", "update", id, "--plan", "none", "--name", "acme two"); !strings.Contains(out, "acme two") || strings.Contains(out, "5000") {
		t.Errorf("a changed account:\n%s", out)
	}
	if out := s.ok(t, "account", "list"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "acme two") {
		t.Errorf("the accounts:\n%s", out)
	}
	out := s.ok(t, "usage", "--everybody")
	if !strings.Contains(out, "acme two") || !strings.Contains(out, "demo") {
		t.Errorf("everybody:\n%s", out)
	}
	s.fails(t, 2, "do not go together", "usage", "demo", "--everybody")
	s.fails(t, 2, "do not go together", "usage", "--csv", "--json")
	s.fails(t, 2, "nothing to change", "account", "update", id)
	s.fails(t, 1, "[bad_request]", "usage", "--from", "yesterday")
}
