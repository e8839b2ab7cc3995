package broker_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// getBackup asks the node for a backup, as the command does.
func getBackup(t *testing.T, s *brokertest.Server, credential string) (int, []byte) {
	t.Helper()
	status, body := call(t, s, http.MethodGet, broker.BackupPath, credential, "")
	return status, []byte(body)
}

// TestBackup backs a node up under load, restores it into another folder and
// starts a node there.
func TestBackup(t *testing.T) {
	s := brokertest.Start(t)
	setRules(t, s, keepMuch)
	key, _ := makeKey(t, s, `{"kind":"secret","name":"mine"}`)
	other, secret := makeApp(t, s, "shop")
	const sure = 500
	for i := range sure {
		if _, ok := tryPublish(s, fmt.Sprint("much:", i%4), fmt.Sprint("sure.", i), fmt.Sprint(i)); !ok {
			t.Fatal("publish")
		}
	}
	client := newTail(t, "much:0")
	client.overWS(s)
	old := history(t, s, "much:0")
	client.pos["much:0"], client.at = *old[len(old)-1].Position, old[len(old)-1].Time

	var load sync.WaitGroup
	var stop atomic.Bool
	for i := range 4 {
		load.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if _, ok := tryPublish(s, fmt.Sprint("much:", i), fmt.Sprintf("load.%d.%d", i, n), "1"); !ok {
					t.Error("a publish fails while a backup is made")
					return
				}
			}
		})
	}
	status, backup := getBackup(t, s, s.AccountToken)
	stop.Store(true)
	load.Wait()
	if status != http.StatusOK || broker.CheckBackup(bytes.NewReader(backup)) != nil {
		t.Fatalf("backup: %d, %v", status, broker.CheckBackup(bytes.NewReader(backup)))
	}
	t.Logf("%d bytes", len(backup))
	client.drop()

	dir := filepath.Join(t.TempDir(), "data")
	if err := broker.Restore(t.Context(), bytes.NewReader(backup), dir, nil); err != nil {
		t.Fatal(err)
	}
	r := brokertest.Start(t, func(c *broker.Config) { c.Data = dir })
	if r.SecretKey != s.SecretKey || r.App != s.App || r.AccountToken != s.AccountToken {
		t.Error("the demo app's keys are others")
	}
	token := makeToken(t, r, `{"user":"ann","grants":{"subscribe":["*"]}}`) // signed with a sealed key
	for _, credential := range []string{key, token, secret} {
		c := dialWS(t, r, "")
		if f := c.hello(credential); f.Type != protocol.TypeWelcome {
			t.Errorf("a key or token is refused: %s", f.raw)
		}
	}
	if status, body := call(t, r, http.MethodGet, "/v1/apps/"+other, r.AccountToken, ""); status != http.StatusOK || !strings.Contains(body, "shop") {
		t.Errorf("the other app: %d %s", status, body)
	}
	for ch := range 4 {
		name := fmt.Sprint("much:", ch)
		is, was := history(t, r, name), history(t, s, name)
		rising(t, name, is)
		if len(is) < sure/4 || !slices.Equal(idsOf(is), idsOf(was[:len(is)])) { // a beginning of what there was
			t.Errorf("%s has %d messages, of %d", name, len(is), len(was))
		}
	}
	// What the backup does not have is lost: clients are told so.
	client.overWS(r)
	if client.recovered() || client.told[0].Reason != "epoch" {
		t.Errorf("a client is told: %s", client.told[0].raw)
	}
	publish(t, r, "much:0", `"later"`)
	eventually(t, "what comes later is delivered", func() bool {
		got := client.of("much:0")
		return len(got) > 0 && string(got[len(got)-1].Data) == `"later"`
	})
}

func TestBackupIsGuarded(t *testing.T) {
	s := brokertest.Start(t)
	for credential, want := range map[string]protocol.Code{"": protocol.CodeCredentialMissing, s.SecretKey: protocol.CodeKeyKind, s.PublishableKey: protocol.CodeKeyKind, "ffa_x": protocol.CodeKeyInvalid} {
		if status, body := getBackup(t, s, credential); status/100 != 4 || !strings.Contains(string(body), fmt.Sprintf("%q", want)) {
			t.Errorf("%.4s: %d %.200s, want %s", credential, status, body, want)
		}
	}
	if status, body := post(t, s, broker.BackupPath, s.AccountToken, ""); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d %s", status, body)
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := brokertest.Start(t)
	publish(t, s, "a", "1")
	_, backup := getBackup(t, s, s.AccountToken)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := broker.Restore(t.Context(), bytes.NewReader(backup), full, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder that is not empty: %v", err)
	}
	if _, err := os.Stat(filepath.Join(full, "mine")); err != nil {
		t.Error(err)
	}
	for name, r := range map[string]io.ReadSeeker{
		"cut off":         bytes.NewReader(backup[:len(backup)/2]),
		"without its end": bytes.NewReader(backup[:len(backup)-1536]),
		"something else":  strings.NewReader(strings.Repeat("no backup ", 1000)),
		"nothing":         strings.NewReader(""),
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := broker.Restore(t.Context(), r, dir, nil); err == nil || !strings.Contains(err.Error(), "no whole backup") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %d files stay", name, len(left))
		}
	}
}
