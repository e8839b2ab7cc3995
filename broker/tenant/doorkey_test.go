package tenant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

func (w *world) newDoorKey(app protocol.AppID, d tenant.Door, parts ...string) tenant.DoorKey {
	w.t.Helper()
	k, err := w.CreateDoorKey(w.ctx(), w.account, app, tenant.DoorKeyInput{Door: d, Parts: parts})
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// TestDoorKeyLives imports a key, shows it at the door, rotates and revokes it.
func TestDoorKeyLives(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		k := w.newDoorKey(w.app, tenant.DoorPusher, "1234", "pk-1", "s3cret")
		pass, err := w.Pass(tenant.DoorPusher, "pk-1")
		if err != nil {
			t.Fatal(err)
		}
		if pass.App != w.app || pass.Role != tenant.RoleKey || string(pass.Secret) != "s3cret" || pass.Keys[tenant.RoleAppID] != "1234" {
			t.Errorf("the pass is %+v", pass)
		}
		list, err := w.DoorKeys(w.account, w.app)
		if err != nil || len(list) != 1 || list[0].Secret != "" || list[0].Keys[tenant.RoleKey] != "pk-1" {
			t.Errorf("the list is %+v (%v)", list, err)
		}
		if text, _ := json.Marshal(list); strings.Contains(string(text), "s3cret") || strings.Contains(w.log.String(), "s3cret") {
			t.Error("the secret is shown")
		}

		next, err := w.RotateDoorKey(w.ctx(), w.account, w.app, k.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if next.Keys[tenant.RoleAppID] != "1234" || next.Keys[tenant.RoleKey] == "pk-1" || next.Secret == "" {
			t.Errorf("the next one is %+v", next)
		}
		if got := w.Passes(w.app, tenant.DoorPusher); len(got) != 2 || got[0].Keys[tenant.RoleKey] != "pk-1" {
			t.Errorf("%d keys are live", len(got))
		}
		var c told
		defer w.OnChange(c.listen)()
		guest := pass.Guest("", protocol.AllGrants())
		if err := w.RevokeDoorKey(w.ctx(), w.account, w.app, k.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return c.has(w.app, k.ID) })
		want(t, guest.Check(), protocol.CodeKeyExpired)
		_, err = w.Pass(tenant.DoorPusher, "pk-1")
		want(t, err, protocol.CodeKeyExpired)
		if _, err := w.Pass(tenant.DoorPusher, next.Keys[tenant.RoleKey]); err != nil {
			t.Error(err)
		}
	})
}

// TestDoorKeysAreOnesOwn: no two apps of a server have the same key, nor is a
// revoked one free for others before its app is gone.
func TestDoorKeysAreOnesOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		k := w.newDoorKey(w.app, tenant.DoorPusher, "1", "mine", "a")
		w.newDoorKey(w.app, tenant.DoorGoEasy, "mine", "b", "c", "0123456789abcdef") // another service's keys are others
		other := w.newApp("other")
		take := func() error {
			_, err := w.CreateDoorKey(w.ctx(), w.account, other.ID, tenant.DoorKeyInput{Door: tenant.DoorPusher, Parts: []string{"1", "mine", "b"}})
			return err
		}
		want(t, take(), protocol.CodeKeyTaken)
		if err := w.RevokeDoorKey(w.ctx(), w.account, w.app, k.ID); err != nil {
			t.Fatal(err)
		}
		want(t, take(), protocol.CodeKeyTaken)
		if got, _ := w.DoorKeys(w.account, other.ID); len(got) != 0 {
			t.Errorf("a refused import left %v", got)
		}
		if err := w.DeleteApp(w.ctx(), w.account, w.app); err != nil {
			t.Fatal(err)
		}
		if err := take(); err != nil {
			t.Error(err)
		}
		pass, err := w.Pass(tenant.DoorPusher, "mine")
		if err != nil || pass.App != other.ID {
			t.Errorf("the key opens %v (%v)", pass, err)
		}
	})
}

// TestClosedDoor: who holds a key of a door that is closed is out at once.
func TestClosedDoor(t *testing.T) {
	w := open(t)
	w.newDoorKey(w.app, tenant.DoorPusher, "1", "k", "s")
	pass, err := w.Pass(tenant.DoorPusher, "k")
	if err != nil {
		t.Fatal(err)
	}
	guest := pass.Guest("", protocol.AllGrants())
	shut := false
	w.patch(tenant.AppPatch{Doors: &tenant.DoorsPatch{Pusher: &shut}})
	want(t, guest.Check(), protocol.CodeDoorClosed)
	_, err = w.Pass(tenant.DoorPusher, "k")
	want(t, err, protocol.CodeDoorClosed)
	_, err = w.Pass(tenant.DoorGoEasy, "k")
	want(t, err, protocol.CodeKeyInvalid)
}

// TestGuestsMay: a guest does what it is granted, and keeps off a door's own
// channels unless they are named.
func TestGuestsMay(t *testing.T) {
	w := open(t)
	w.newDoorKey(w.app, tenant.DoorPusher, "1", "k", "s")
	pass, err := w.Pass(tenant.DoorPusher, "k")
	if err != nil {
		t.Fatal(err)
	}
	guest := pass.Guest("ann", protocol.Grants{Subscribe: []string{"*", "#server-to-user-ann"}, Publish: []string{"a*"}})
	for _, ch := range []protocol.Channel{"x", "#server-to-user-ann"} {
		if err := guest.May(protocol.Subscribe, ch); err != nil {
			t.Error(err)
		}
	}
	want(t, guest.May(protocol.Subscribe, "#server-to-user-bob"), protocol.CodeNotGranted)
	want(t, guest.May(protocol.Publish, "b"), protocol.CodeNotGranted)
	if err := pass.Agent().May(protocol.Publish, "#server-to-user-bob"); err != nil {
		t.Error(err)
	}
	off := false
	w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{{PublishFromClients: &off}}})
	want(t, guest.May(protocol.Publish, "a"), protocol.CodePublishOff)
}

func TestDoorKeyBadInput(t *testing.T) {
	w := open(t)
	w.newDoorKey(w.app, tenant.DoorPusher, "1", "k", "s")
	for _, in := range []tenant.DoorKeyInput{
		{Door: "ably"},
		{Door: tenant.DoorPusher, Parts: []string{"1", "k2"}},
		{Door: tenant.DoorPusher, Parts: []string{"1", "k 2", "s"}},
		{Door: tenant.DoorPusher, Parts: []string{"1", "", "s"}},
		{Door: tenant.DoorPusher, Parts: []string{"2", "k2", "s"}}, // another app_id
		{Door: tenant.DoorGoEasy, Parts: []string{"a", "b", "c", "short"}},
		{Door: tenant.DoorGoEasy, Parts: []string{"a", "a", "c", "0123456789abcdef"}},
		{Door: tenant.DoorGoEasy, Parts: []string{"a", "b", "c", "0123456789abcdef", "d", "e"}},
	} {
		_, err := w.CreateDoorKey(w.ctx(), w.account, w.app, in)
		want(t, err, protocol.CodeBadRequest)
	}
	_, err := w.RotateDoorKey(w.ctx(), w.account, w.app, "nobody", 0)
	want(t, err, protocol.CodeKeyNotFound)
}

// TestCacheChannelsKeep: where Pusher's clients are let in, a cache channel
// keeps its newest event for half an hour.
func TestCacheChannelsKeep(t *testing.T) {
	w := open(t)
	p := w.is(w.secret.Text)
	if _, age := p.Keep("cache-x"); age != 5*time.Minute {
		t.Errorf("without the door it keeps for %s", age)
	}
	w.newDoorKey(w.app, tenant.DoorPusher)
	for ch, want := range map[protocol.Channel]time.Duration{
		"cache-x": 30 * time.Minute, "private-cache-x": 30 * time.Minute, "private-encrypted-cache-x": 30 * time.Minute, "presence-cache-x": 30 * time.Minute,
		"private-x": 5 * time.Minute, "x-cache-": 5 * time.Minute, "private-presence-cache-x": 5 * time.Minute,
	} {
		if _, age := p.Keep(ch); age != want {
			t.Errorf("%s keeps for %s, want %s", ch, age, want)
		}
	}
}
