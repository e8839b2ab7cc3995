package tenant_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// world is an open register with one account and one app in it.
type world struct {
	*tenant.Tenants
	t       testing.TB
	records *memory // nil on a real bus
	vault   *memory
	log     *syncBuffer
	account protocol.AccountID
	token   string // the account's token
	app     protocol.AppID
	secret  tenant.Key
	public  tenant.Key // grants: subscribe to public:*
}

// syncBuffer is a log that many goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open makes a world on buckets in memory.
func open(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, records: newMemory(), vault: newMemory()}
	w.start(w.records, w.vault, w.vault)
	return w
}

// openBus makes a world on a real bus.
func openBus(t testing.TB) *world {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), Name: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	bucket := func(name string, o bus.BucketOptions) *bus.Bucket {
		k, err := b.Bucket(t.Context(), name, o)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	w := &world{t: t}
	w.start(bucket("records", bus.BucketOptions{}), bucket("tickets", bus.BucketOptions{MaxAge: tenant.LinkTTL}), bucket("sessions", bus.BucketOptions{MaxAge: tenant.SessionTTL}))
	return w
}

// onBoth runs a contract test on buckets in memory and on a real bus.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("memory", func(t *testing.T) { test(t, open(t)) })
	t.Run("bus", func(t *testing.T) { test(t, openBus(t)) })
}

func (w *world) start(records tenant.KV, tickets, sessions tenant.Vault) {
	w.t.Helper()
	w.log = &syncBuffer{}
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	w.Tenants, err = tenant.Open(w.t.Context(), tenant.Options{Records: records, Tickets: tickets, Sessions: sessions, MasterKey: [32]byte{1, 2, 3}, Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.Tenants.Close)
	account, token, err := w.CreateAccount(w.ctx(), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	w.account, w.token = account.ID, token
	w.app = w.newApp("shop").ID
	w.secret = w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Name: "server"})
	w.public = w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable, Name: "page"})
}

func (w *world) ctx() context.Context { return w.t.Context() }

func (w *world) newApp(name string) tenant.App {
	w.t.Helper()
	a, err := w.CreateApp(w.ctx(), w.account, tenant.AppInput{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) newKey(in tenant.KeyInput) tenant.Key {
	w.t.Helper()
	k, err := w.CreateKey(w.ctx(), w.account, w.app, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// is is who has the credential; it must be good.
func (w *world) is(credential string) *tenant.Principal {
	w.t.Helper()
	p, err := w.Authenticate(w.ctx(), credential, "")
	if err != nil {
		w.t.Fatalf("Authenticate: %v", err)
	}
	return p
}

// refuses checks that the credential is refused with code.
func (w *world) refuses(credential string, code protocol.Code) *protocol.Error {
	w.t.Helper()
	p, err := w.Authenticate(w.ctx(), credential, "")
	if p != nil {
		w.t.Errorf("a principal came with the error: %v", p)
	}
	return want(w.t, err, code)
}

// patch changes the app.
func (w *world) patch(p tenant.AppPatch) tenant.App {
	w.t.Helper()
	a, err := w.UpdateApp(w.ctx(), w.account, w.app, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// want checks that err is of code, with the remedy of the table, and returns
// it as strangers see it.
func want(t testing.TB, err error, code protocol.Code) *protocol.Error {
	t.Helper()
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("got %v, want code %s", e, code)
	}
	if info, _ := code.Info(); e.Remedy != info.Remedy || e.Message == "" {
		t.Errorf("%s: the remedy is %q, want the table's %q; message %q", code, e.Remedy, info.Remedy, e.Message)
	}
	return e
}

func ptr[T any](v T) *T { return &v }

// eventually waits until cond is true, for what another node does.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass within 10 s")
		}
	}
}
