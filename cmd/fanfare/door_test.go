package main

import (
	"strings"
	"testing"
)

// TestImport takes a Pusher and a GoEasy app over, as a person does.
func TestImport(t *testing.T) {
	s := serve(t)
	out := s.ok(t, "app", "import", "shop", "--pusher", "1234567,278d425bdf160c739803,7ad3773142a6692b25b8", "--goeasy", "BC-1,BS-1,PR-1,86726e4356dce2d3")
	for _, want := range []string{"shop", "open door", "pusher", "goeasy"} {
		if !strings.Contains(out, want) {
			t.Errorf("the import shows no %q:\n%s", want, out)
		}
	}
	s.fails(t, 1, "[key_taken]", "app", "import", "thief", "--pusher", "1,278d425bdf160c739803,x")
	if list := s.ok(t, "app", "list"); strings.Contains(list, "thief") {
		t.Errorf("a refused import left an app:\n%s", list)
	}
	s.fails(t, 1, "[bad_request]", "app", "import", "shop", "--pusher", "1234567,only")
	s.fails(t, 2, "nothing to import", "app", "import", "shop")

	list := s.ok(t, "door", "list", "--app", "shop")
	if strings.Contains(list, "7ad3773142a6692b25b8") || !strings.Contains(list, "BC-1") {
		t.Errorf("the list is\n%s", list)
	}
	if out := s.ok(t, "door", "close", "goeasy", "--app", "shop"); strings.Contains(out, "goeasy") {
		t.Errorf("the closed door is open:\n%s", out)
	}
	s.ok(t, "door", "open", "goeasy", "--app", "shop")

	var id string
	for line := range strings.Lines(list) {
		if strings.Contains(line, "pusher") {
			id = strings.Fields(line)[0]
		}
	}
	if out := s.ok(t, "door", "rotate", id, "--app", "shop"); !strings.Contains(out, "1234567") || !strings.Contains(out, "secret") {
		t.Errorf("the rotation shows\n%s", out)
	}
	s.ok(t, "door", "revoke", id, "--yes", "--app", "shop")
	if out := s.ok(t, "door", "show", id, "--app", "shop"); !strings.Contains(out, "revoked") {
		t.Errorf("the revoked key shows\n%s", out)
	}
	if out := s.ok(t, "door", "create", "pusher", "--app", "shop"); !strings.Contains(out, "1234567") {
		t.Errorf("the new key has another app_id:\n%s", out)
	}
}
