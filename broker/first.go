package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Welcome is what a person needs to begin: addresses, the demo app and its
// keys, a one-time sign-in link for the dashboard. It holds secrets.
type Welcome struct {
	URL            string
	App            protocol.AppID
	PublishableKey string
	SecretKey      string
	AccountToken   string
	Doors          map[string]string // what other services' clients show, by their names in demo.env
	Link           string            // good once, for 15 minutes
	FirstStart     bool
	DataDir        string
}

// The files of the data folder that a node writes besides NATS's.
const (
	masterFile = "master.key" // 32 random bytes: seals the secret keys
	firstFile  = "first.json" // what the first start made
	demoEnv    = "demo.env"
	adminEnv   = "admin.env"
)

// first is what the first start made; firstFile keeps it, mode 0600, because
// the store has only hashes of most of it.
type first struct {
	Account        protocol.AccountID `json:"account"`
	AccountToken   string             `json:"account_token"`
	App            protocol.AppID     `json:"app"`
	PublishableKey string             `json:"publishable_key"`
	SecretKey      string             `json:"secret_key"`

	// What other services' clients show, by their names in demoEnv.
	Doors map[string]string `json:"doors,omitempty"`
}

// masterKey reads the folder's master key or makes it.
func masterKey(dir string) (key [32]byte, err error) {
	name := filepath.Join(dir, masterFile)
	key, has, err := readMaster(name)
	if err != nil || has {
		return key, err
	}
	rand.Read(key[:]) // never fails
	return key, writeWhole(name, key[:])
}

// readMaster reads a master key; has is false where there is none.
func readMaster(name string) (key [32]byte, has bool, err error) {
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, false, nil
	case err != nil:
		return key, false, err
	case len(b) != len(key):
		return key, false, fmt.Errorf("%s has %d bytes instead of %d: put the right one back from a backup", name, len(b), len(key))
	}
	copy(key[:], b)
	return key, true, nil
}

// begin makes the account, the demo app and its keys at the first start, and
// finds them again at the later ones.
func begin(ctx context.Context, dir string, t *tenant.Tenants) (f first, isFirst bool, err error) {
	name := filepath.Join(dir, firstFile)
	b, err := os.ReadFile(name)
	if err == nil {
		if err := json.Unmarshal(b, &f); err != nil {
			return f, false, fmt.Errorf("%s is damaged: %w", name, err)
		}
		return f, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	account, token, err := t.CreateAccount(ctx, "main")
	if err != nil {
		return f, false, fmt.Errorf("make the account: %w", err)
	}
	app, err := t.CreateApp(ctx, account.ID, tenant.AppInput{Name: "demo", Doors: tenant.Doors{Pusher: true, GoEasy: true}})
	if err != nil {
		return f, false, fmt.Errorf("make the demo app: %w", err)
	}
	everything := protocol.Grants{Subscribe: []string{"*"}}
	public, err := t.CreateKey(ctx, account.ID, app.ID, tenant.KeyInput{Kind: tenant.KindPublishable, Name: "demo page", Grants: &everything})
	if err != nil {
		return f, false, fmt.Errorf("make the demo keys: %w", err)
	}
	secret, err := t.CreateKey(ctx, account.ID, app.ID, tenant.KeyInput{Kind: tenant.KindSecret, Name: "demo server"})
	if err != nil {
		return f, false, fmt.Errorf("make the demo keys: %w", err)
	}
	f = first{Account: account.ID, AccountToken: token, App: app.ID, PublishableKey: public.Text, SecretKey: secret.Text}
	if f.Doors, err = demoDoors(ctx, t, account.ID, app.ID); err != nil {
		return f, false, fmt.Errorf("make the demo keys: %w", err)
	}
	b, err = json.MarshalIndent(f, "", "  ")
	if err != nil {
		return f, false, err
	}
	return f, true, writeWhole(name, append(b, '\n'))
}

// demoDoors makes what other services' clients show at the demo app's doors.
func demoDoors(ctx context.Context, t *tenant.Tenants, account protocol.AccountID, app protocol.AppID) (map[string]string, error) {
	doors := map[string]string{}
	for _, d := range []tenant.Door{tenant.DoorPusher, tenant.DoorGoEasy} {
		k, err := t.CreateDoorKey(ctx, account, app, tenant.DoorKeyInput{Door: d})
		if err != nil {
			return nil, err
		}
		prefix := "FANFARE_" + strings.ToUpper(string(d)) + "_"
		doors[prefix+"SECRET"] = k.Secret
		for role, text := range k.Keys {
			name := strings.ToUpper(string(role))
			if d == tenant.DoorGoEasy {
				name += "_KEY"
			}
			doors[prefix+name] = text
		}
	}
	return doors, nil
}

// ensureRules gives the first app the rules that it is to have where it has none
// for their namespaces.
func ensureRules(ctx context.Context, t *tenant.Tenants, f first, wanted []tenant.Rule) error {
	if len(wanted) == 0 {
		return nil
	}
	app, err := t.App(f.Account, f.App)
	if err != nil {
		return fmt.Errorf("find the first app: %w", err)
	}
	rules := slices.Clone(app.Rules)
	for _, r := range wanted {
		if !slices.ContainsFunc(rules, func(has tenant.Rule) bool { return has.Namespace == r.Namespace }) {
			rules = append(rules, r)
		}
	}
	if len(rules) == len(app.Rules) {
		return nil
	}
	if _, err := t.UpdateApp(ctx, f.Account, f.App, tenant.AppPatch{Rules: &rules}); err != nil {
		return fmt.Errorf("set the first app's rules: %w", err)
	}
	return nil
}

// writeEnv writes the shell files that the CLI and the printed commands read.
func writeEnv(dir, url string, f first) error {
	demo := fmt.Sprintf("FANFARE_URL=%s\nFANFARE_PUBLISHABLE_KEY=%s\nFANFARE_SECRET_KEY=%s\nFANFARE_APP=%s\n", url, f.PublishableKey, f.SecretKey, f.App)
	for _, name := range slices.Sorted(maps.Keys(f.Doors)) {
		demo += name + "=" + f.Doors[name] + "\n"
	}
	if err := writeWhole(filepath.Join(dir, demoEnv), []byte(demo)); err != nil {
		return err
	}
	admin := fmt.Sprintf("FANFARE_URL=%s\nFANFARE_ACCOUNT_TOKEN=%s\n", url, f.AccountToken)
	return writeWhole(filepath.Join(dir, adminEnv), []byte(admin))
}

// writeWhole writes a file of mode 0600 that is there whole or not at all,
// also after a power cut.
func writeWhole(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
