package tenant_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// told collects what OnChange tells.
type told struct {
	mu  sync.Mutex
	all []string
}

func (c *told) listen(app protocol.AppID, keyID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, string(app)+" "+keyID)
}

func (c *told) has(app protocol.AppID, keyID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.all, string(app)+" "+keyID)
}

func (c *told) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

func TestChangesAreTold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var c told
		defer w.OnChange(c.listen)()
		tells := func(app protocol.AppID, keyID string) {
			t.Helper()
			eventually(t, func() bool { return c.has(app, keyID) })
		}
		user := w.is(w.public.Text)
		var late error
		var once sync.Once
		seen := make(chan struct{})
		defer w.OnChange(func(_ protocol.AppID, keyID string) {
			if keyID == w.public.ID {
				once.Do(func() { late = user.Check(); close(seen) })
			}
		})()
		if err := w.RevokeKey(w.ctx(), w.account, w.app, w.public.ID); err != nil {
			t.Fatal(err)
		}
		tells(w.app, w.public.ID)
		<-seen
		want(t, late, protocol.CodeKeyExpired) // by the time it is told it holds

		if _, err := w.RotateKey(w.ctx(), w.account, w.app, w.secret.ID, 0); err != nil {
			t.Fatal(err)
		}
		tells(w.app, w.secret.ID)
		page := w.newKey(tenant.KeyInput{Kind: tenant.KindPublishable})
		if _, err := w.UpdateKey(w.ctx(), w.account, w.app, page.ID, tenant.KeyPatch{Grants: &protocol.Grants{}}); err != nil {
			t.Fatal(err)
		}
		tells(w.app, page.ID)
		more, err := w.CreateAccountToken(w.ctx(), w.account, "laptop")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.RevokeAccountToken(w.ctx(), w.account, more.ID); err != nil {
			t.Fatal(err)
		}
		tells("", more.ID)
		w.patch(tenant.AppPatch{Rules: &[]tenant.Rule{{Echo: ptr(false)}}})
		tells(w.app, "")
		if err := w.DeleteApp(w.ctx(), w.account, w.app); err != nil {
			t.Fatal(err)
		}
		tells(w.app, page.ID)
	})
}

func TestAKeyThatExpiresIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		var c told
		stop := w.OnChange(c.listen)
		if _, err := w.RotateKey(w.ctx(), w.account, w.app, w.secret.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !c.has(w.app, w.secret.ID) {
			t.Error("the rotation was not told")
		}
		n := c.count()
		in := func(d time.Duration) *time.Time { return new(time.Now().Add(d)) }
		first := w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Expires: in(time.Minute)})
		second := w.newKey(tenant.KeyInput{Kind: tenant.KindSecret, Expires: in(20 * time.Minute)})
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if c.count() != n {
			t.Errorf("told of %v, but nothing that was there changed", c.all[n:])
		}
		at := func(d time.Duration, id string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if !c.has(w.app, id) || c.count() != n+1 {
				t.Errorf("after %s told of %v, want only %s", d, c.all[n:], id)
			}
			n = c.count()
		}
		at(time.Second, first.ID)
		at(19*time.Minute, second.ID)
		at(40*time.Minute, w.secret.ID)
		stop()
		if err := w.RevokeKey(w.ctx(), w.account, w.app, w.public.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.count() != n {
			t.Error("told after stop")
		}
	})
}
