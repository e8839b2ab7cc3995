package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fanfarehq/fanfare/broker/webhook"
	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// genuine checks an arrival with the standard's own library and with our SDK.
func genuine(t *testing.T, secret string, a arrival) error {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	theirs, ours := hook.Verify(a.body, a.header), fanfare.VerifyWebhook(secret, a.header, a.body, 0)
	if (theirs == nil) != (ours == nil) {
		t.Errorf("the standard's library says %v, the SDK %v", theirs, ours)
	}
	return theirs
}

// claims: 9.32 9.33
func TestEveryTypeArrivesSigned(t *testing.T) {
	w, r := start(t, t.TempDir()), receive(t, nil)
	h := w.create("app1", r.URL+"/hook?a=b")
	at := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	message := `{"channel":"chat:1","id":"m1","data":"a<b&c\u2028","position":"e:1"}`
	for _, c := range []struct {
		event webhook.Event
		data  string
	}{
		{webhook.Event{Type: protocol.WebhookChannelOccupied, Channel: "chat:1"}, `{"app":"app1","channel":"chat:1"}`},
		{webhook.Event{Type: protocol.WebhookChannelVacated, Channel: "chat:é"}, `{"app":"app1","channel":"chat:é"}`},
		{webhook.Event{Type: protocol.WebhookMemberJoined, Channel: "c", User: "ann", Presence: []byte(`{"mood":1}`)}, `{"app":"app1","channel":"c","user":"ann","presence":{"mood":1}}`},
		{webhook.Event{Type: protocol.WebhookMemberLeft, Channel: "c", User: "ann"}, `{"app":"app1","channel":"c","user":"ann"}`},
		{webhook.Event{Type: protocol.WebhookMessagePublished, Channel: "chat:1", Message: []byte(message)}, `{"app":"app1","channel":"chat:1","message":` + message + `}`},
		{webhook.Event{Type: protocol.WebhookConnectionClosed, Connection: "s1", User: "ann", Code: protocol.CodeSlowClient}, `{"app":"app1","user":"ann","connection":"s1","code":"slow_client"}`},
	} {
		c.event.Time = at
		w.Emit("app1", c.event)
		a := r.next(t)
		want := `{"type":"` + c.event.Type + `","timestamp":"2026-11-22T10:00:00.123Z","data":` + c.data + `}`
		if d := cmp.Diff(want, string(a.body)); d != "" {
			t.Errorf("%s: %s", c.event.Type, d)
		}
		if err := genuine(t, h.Secret, a); err != nil {
			t.Errorf("%s: %v", c.event.Type, err)
		}
		if a.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(a.id(), "evt_") {
			t.Errorf("headers %v", a.header)
		}
	}
	eventually(t, "nothing waits", func() bool { return w.one("app1", h.ID).Waiting == 0 })
	if strings.Contains(w.logs.String(), h.Secret[6:]) || strings.Contains(w.logs.String(), "a<b") {
		t.Error("a secret or a message is in the log")
	}
}

func TestOnlyWhatIsWantedArrives(t *testing.T) {
	w, r, other := start(t, t.TempDir()), receive(t, nil), receive(t, nil)
	one := w.create("app1", r.URL, protocol.WebhookMemberLeft, protocol.WebhookChannelVacated, protocol.WebhookMemberLeft)
	if !slices.Equal(one.Events, []string{protocol.WebhookChannelVacated, protocol.WebhookMemberLeft}) {
		t.Errorf("events %q", one.Events)
	}
	two := w.create("app1", other.URL)
	w.create("app2", other.URL+"/app2")
	for typ, want := range map[string]bool{protocol.WebhookMemberLeft: true, protocol.WebhookTest: false, "": false} {
		if w.Wants("app1", typ) != want {
			t.Errorf("Wants %q: %v", typ, !want)
		}
	}
	w.Emit("app1", webhook.Event{Type: protocol.WebhookMemberJoined, Channel: "c"})
	w.Emit("app1", webhook.Event{Type: protocol.WebhookMemberLeft, Channel: "c"})
	if a, b, c := r.next(t), other.next(t), other.next(t); a.id() != b.id() && a.id() != c.id() {
		t.Error("the two endpoints know the event by two ids")
	}
	off := true
	h, err := w.Update(t.Context(), "app1", two.ID, protocol.WebhookPatch{Disabled: &off})
	must(t, err)
	if !h.Disabled || h.DisabledReason == "" {
		t.Errorf("disabled by hand: %+v", h)
	}
	if w.Wants("app1", protocol.WebhookMemberJoined) {
		t.Error("a disabled webhook wants events")
	}
	must(t, w.Delete(t.Context(), "app1", one.ID))
	w.Emit("app1", webhook.Event{Type: protocol.WebhookMemberLeft, Channel: "c"})
	w.Emit("app2", webhook.Event{Type: protocol.WebhookMemberLeft, Channel: "last"})
	if a := other.next(t); a.data(t)["app"] != "app2" {
		t.Errorf("a disabled webhook got %s", a.body)
	}
	on := false
	if h, err = w.Update(t.Context(), "app1", two.ID, protocol.WebhookPatch{Disabled: &on}); err != nil || h.Disabled || h.DisabledReason != "" {
		t.Fatalf("enabled again: %+v, %v", h, err)
	}
	w.Emit("app1", occupied(1))
	if a := other.next(t); a.data(t)["channel"] != "c:1" {
		t.Errorf("after it was enabled came %s", a.body)
	}
	if len(r.got) != 0 {
		t.Error("a deleted webhook got something")
	}
}

// claims: 9.30 9.32
func TestBothSecretsSignWhileRotating(t *testing.T) {
	dir := t.TempDir()
	w, r := start(t, dir), receive(t, nil)
	h := w.create("app1", r.URL)
	next, err := w.Rotate(t.Context(), "app1", h.ID, time.Hour)
	must(t, err)
	if next.Secret == h.Secret || next.OldSecretUntil == nil || time.Until(*next.OldSecretUntil) < 59*time.Minute {
		t.Fatalf("after the rotation: %+v", next)
	}
	w.Emit("app1", occupied(1))
	a := r.next(t)
	for _, secret := range []string{h.Secret, next.Secret} {
		if err := genuine(t, secret, a); err != nil {
			t.Error(err)
		}
	}
	third, err := w.Rotate(t.Context(), "app1", h.ID, time.Hour)
	must(t, err)
	w.close()
	w = start(t, dir)
	w.Emit("app1", occupied(2))
	a = r.next(t)
	if genuine(t, h.Secret, a) == nil || genuine(t, next.Secret, a) != nil || genuine(t, third.Secret, a) != nil {
		t.Error("after a second rotation and a restart the last two secrets sign, and no other")
	}
	last, err := w.Rotate(t.Context(), "app1", h.ID, 0)
	must(t, err)
	w.Emit("app1", occupied(3))
	a = r.next(t)
	if genuine(t, third.Secret, a) == nil || genuine(t, last.Secret, a) != nil || last.OldSecretUntil != nil {
		t.Error("without grace the old secret signs on")
	}
	for _, h := range w.List("app1") {
		if h.Secret != "" {
			t.Error("the list shows a secret")
		}
	}
}

func TestAnotherMasterKeyOpensNoSecret(t *testing.T) {
	dir := t.TempDir()
	w := openRoom(t, dir)
	w.create("app1", "http://127.0.0.1:1/")
	w.close()
	w = openRoom(t, dir, func(o *webhook.Options) { o.MasterKey = [32]byte{8} })
	if got := w.List("app1"); len(got) != 0 || !strings.Contains(w.logs.String(), "another master key") {
		t.Errorf("there are %+v, and the log says %s", got, w.logs)
	}
}

// claims: 9.30
func TestAnAppHasTenWebhooks(t *testing.T) {
	w := openRoom(t, t.TempDir())
	var wg sync.WaitGroup
	errs := make(chan error, 30)
	for range 30 {
		wg.Go(func() {
			_, err := w.Create(t.Context(), "app1", protocol.WebhookInput{URL: "http://127.0.0.1:1/"})
			errs <- err
		})
	}
	wg.Wait()
	made := 0
	for range 30 {
		if err := <-errs; err == nil {
			made++
		} else if !errors.Is(err, protocol.NewError(protocol.CodeWebhookLimit)) {
			t.Error(err)
		}
	}
	if list := w.List("app1"); made != webhook.MaxPerApp || len(list) != made {
		t.Fatalf("%d were made, %d are there", made, len(list))
	}
	must(t, w.Delete(t.Context(), "app1", w.List("app1")[3].ID))
	w.create("app1", "http://127.0.0.1:1/")
	w.create("app2", "http://127.0.0.1:1/")
	must(t, w.Forget(t.Context(), "app1"))
	if a, b := w.List("app1"), w.List("app2"); len(a) != 0 || len(b) != 1 {
		t.Errorf("app1 forgotten: it has %d, app2 has %d", len(a), len(b))
	}
}

func TestChangesAtOnceAllHold(t *testing.T) {
	w := openRoom(t, t.TempDir())
	h := w.create("app1", "http://127.0.0.1:1/")
	var wg sync.WaitGroup
	url, off := "http://127.0.0.1:2/", true
	for _, p := range []protocol.WebhookPatch{{URL: &url}, {Disabled: &off}, {Events: &[]string{protocol.WebhookMemberLeft}}} {
		wg.Go(func() {
			if _, err := w.Update(t.Context(), "app1", h.ID, p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := w.one("app1", h.ID); got.URL != url || !got.Disabled || len(got.Events) != 1 {
		t.Errorf("after three changes at once: %+v", got)
	}
}

func TestStrangersFindNothing(t *testing.T) {
	w := openRoom(t, t.TempDir())
	h := w.create("app1", "http://127.0.0.1:1/")
	off := true
	for _, c := range []struct{ app, id string }{{"app2", h.ID}, {"app1", "whk_nope"}, {"app1", ""}} {
		app := protocol.AppID(c.app)
		_, e1 := w.Update(t.Context(), app, c.id, protocol.WebhookPatch{Disabled: &off})
		_, e2 := w.Rotate(t.Context(), app, c.id, 0)
		_, e3 := w.Test(t.Context(), app, c.id)
		_, e4 := w.Deliveries(t.Context(), app, c.id)
		_, e5 := w.Resend(t.Context(), app, c.id, "dlv_1")
		for i, err := range []error{e1, e2, e3, e4, e5, w.Delete(t.Context(), app, c.id)} {
			if !errors.Is(err, protocol.NewError(protocol.CodeWebhookNotFound)) {
				t.Errorf("%v, call %d: %v", c, i, err)
			}
		}
	}
	for _, p := range []protocol.WebhookPatch{{Events: &[]string{}}, {Events: &[]string{"channel.exploded"}}} {
		if _, err := w.Update(t.Context(), "app1", h.ID, p); !errors.Is(err, protocol.NewError(protocol.CodeBadRequest)) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := w.Create(t.Context(), "app1", protocol.WebhookInput{URL: "http://127.0.0.1:1/", Events: []string{"x"}}); !errors.Is(err, protocol.NewError(protocol.CodeBadRequest)) {
		t.Errorf("an unknown type of event: %v", err)
	}
}

// claims: 9.35
func TestDeliveriesAndSendingAgain(t *testing.T) {
	w := start(t, t.TempDir())
	up := make(chan struct{})
	r := receive(t, func(rw http.ResponseWriter, n int) {
		select {
		case <-up:
		default:
			http.Error(rw, "the database is away", http.StatusInternalServerError)
		}
	})
	h := w.create("app1", r.URL)
	if ds := w.deliveries("app1", h.ID); len(ds) != 0 {
		t.Errorf("a new webhook has tries: %+v", ds)
	}
	w.Emit("app1", occupied(1))
	first := r.next(t)
	eventually(t, "the try is logged", func() bool { return len(w.deliveries("app1", h.ID)) == 1 })
	d := w.deliveries("app1", h.ID)[0]
	if d.OK || d.Status != 500 || d.Attempt != 1 || d.Event != first.id() || d.Type != protocol.WebhookChannelOccupied || !strings.Contains(d.Answer, "database") ||
		d.Next == nil || time.Until(*d.Next) > 6*time.Second || d.Error == "" || d.ID == "" {
		t.Errorf("the try is %+v", d)
	}
	if n := w.one("app1", h.ID).Waiting; n != 1 {
		t.Errorf("%d events wait", n)
	}
	close(up)
	again, err := w.Resend(t.Context(), "app1", h.ID, d.ID)
	must(t, err)
	second := r.next(t)
	if !again.OK || again.Status != 200 || again.Event != d.Event || again.Attempt != 0 {
		t.Errorf("sent again: %+v", again)
	}
	if second.id() != first.id() || string(second.body) != string(first.body) || genuine(t, h.Secret, second) != nil {
		t.Error("what was sent again is another event")
	}
	tried, err := w.Test(t.Context(), "app1", h.ID)
	must(t, err)
	if a := r.next(t); !tried.OK || tried.Type != protocol.WebhookTest || a.data(t)["app"] != "app1" || a.id() != tried.Event {
		t.Errorf("the test is %+v, and %s came", tried, a.body)
	}
	third := r.next(t) // by the queue, 5 s after the first
	if third.id() != first.id() {
		t.Errorf("%s came, not %s", third.id(), first.id())
	}
	eventually(t, "all tries are logged", func() bool { return len(w.deliveries("app1", h.ID)) == 4 })
	ds := w.deliveries("app1", h.ID)
	if ds[0].Attempt != 2 || !ds[0].OK || ds[1].ID != tried.ID || ds[2].ID != again.ID || ds[3].ID != d.ID {
		t.Errorf("the log is %+v", ds)
	}
	other := w.create("app1", r.URL)
	for _, id := range []string{"", "dlv_", "dlv_zzzz", "dlv_0", "dlv_-1", "1", "dlv_!"} {
		if _, err := w.Resend(t.Context(), "app1", h.ID, id); !errors.Is(err, protocol.NewError(protocol.CodeDeliveryNotFound)) {
			t.Errorf("delivery %q: %v", id, err)
		}
	}
	if _, err := w.Resend(t.Context(), "app1", other.ID, d.ID); !errors.Is(err, protocol.NewError(protocol.CodeDeliveryNotFound)) {
		t.Errorf("another webhook's delivery: %v", err)
	}
}

// claims: 9.35
func TestTheLogKeepsAHundredTries(t *testing.T) {
	w, r := start(t, t.TempDir()), receive(t, nil)
	h := w.create("app1", r.URL)
	for i := range 130 {
		w.Emit("app1", occupied(i))
	}
	for range 130 {
		r.next(t)
	}
	eventually(t, "nothing waits", func() bool { return w.one("app1", h.ID).Waiting == 0 })
	ds := w.deliveries("app1", h.ID)
	if len(ds) != webhook.KeepTries || ds[0].Time.Before(ds[len(ds)-1].Time) {
		t.Errorf("the log has %d tries", len(ds))
	}
	must(t, w.Delete(t.Context(), "app1", h.ID))
}

func TestAnEndpointThatIsFullLosesOnlyItsOwn(t *testing.T) {
	w := openRoom(t, t.TempDir(), func(o *webhook.Options) { o.MaxWaiting = 10 })
	full, free := w.create("app1", "http://127.0.0.1:1/"), w.create("app2", "http://127.0.0.1:1/")
	w.run()
	for i := range 50 {
		w.Emit("app1", occupied(i))
	}
	w.Emit("app2", occupied(1))
	eventually(t, "the rest is thrown away", func() bool { h := w.one("app1", full.ID); return h.Waiting == 10 && h.Dropped == 40 })
	eventually(t, "the other waits", func() bool { h := w.one("app2", free.ID); return h.Waiting == 1 && h.Dropped == 0 })
}

func TestEmitNeverBlocks(t *testing.T) {
	w := openRoom(t, t.TempDir()) // and nothing runs
	w.create("app1", "http://127.0.0.1:1/")
	begin := time.Now()
	for i := range 20_000 {
		w.Emit("app1", occupied(i))
	}
	if took := time.Since(begin); w.Lost() < 10_000 || took > 5*time.Second {
		t.Errorf("of 20,000 events %d were thrown away, in %v", w.Lost(), took)
	}
	big := openRoom(t, t.TempDir())
	big.create("app1", "http://127.0.0.1:1/")
	body, err := json.Marshal(strings.Repeat("x", 1<<20))
	must(t, err)
	for range 100 { // 100 MiB, in events that are few
		big.Emit("app1", webhook.Event{Type: protocol.WebhookMessagePublished, Message: body})
	}
	if big.Lost() < 30 {
		t.Errorf("%d of 100 MiB were thrown away", big.Lost())
	}
}

func BenchmarkEmitToNobody(b *testing.B) {
	w := openRoom(b, b.TempDir())
	w.create("app1", "http://127.0.0.1:1/", protocol.WebhookMemberLeft)
	e := occupied(1)
	b.ReportAllocs()
	for b.Loop() {
		w.Emit("app1", e)
		w.Emit("app2", e)
	}
}

// BenchmarkDeliver is events through the queue and over HTTP to one receiver.
func BenchmarkDeliver(b *testing.B) {
	for _, endpoints := range []int{1, 8} {
		b.Run(fmt.Sprint(endpoints, "endpoints"), func(b *testing.B) {
			w, r := start(b, b.TempDir()), receive(b, nil)
			for i := range endpoints {
				w.create("app1", fmt.Sprint(r.URL, "/", i))
			}
			for b.Loop() {
				const n = 1000
				for i := range n {
					w.Emit("app1", occupied(i))
				}
				for range n * endpoints {
					r.next(b)
				}
			}
			b.ReportMetric(float64(1000*endpoints*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
