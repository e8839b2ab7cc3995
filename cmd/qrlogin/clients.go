package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin/oidc"
)

// clients are the apps that sign their people in here, in a JSON file. It is
// read again when it changes, so that an app is added without a restart. Safe
// for concurrent use.
type clients struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	list []oidc.Client
	seen time.Time // the file's, when it was read
	size int64
}

// clientsPath is the file that the command line names, else that of the data
// folder.
func clientsPath(c config) string {
	if c.clients != "" {
		return c.clients
	}
	return filepath.Join(c.data, "clients.json")
}

// openClients reads the file. A missing one has no clients, and may come later.
func openClients(path string, log *slog.Logger) (*clients, error) {
	k := &clients{path: path, log: log}
	return k, k.read()
}

// get is the client of that id, or oidc.ErrNoClient.
func (k *clients) get(id string) (oidc.Client, error) {
	if k == nil {
		return oidc.Client{}, oidc.ErrNoClient
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.read(); err != nil {
		k.log.Error("the apps' file cannot be used; what was read before goes on", "error", err)
	}
	if i := slices.IndexFunc(k.list, func(c oidc.Client) bool { return c.ID == id }); i >= 0 {
		return k.list[i], nil
	}
	return oidc.Client{}, oidc.ErrNoClient
}

// read reads the file if it changed. The caller has k.mu, or is alone.
func (k *clients) read() error {
	info, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		k.list, k.seen = nil, time.Time{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the apps: %w", err)
	}
	if info.ModTime().Equal(k.seen) && info.Size() == k.size {
		return nil
	}
	k.seen, k.size = info.ModTime(), info.Size()
	list, err := readClients(k.path)
	if err == nil {
		k.list = list
	}
	return err
}

func readClients(path string) (list []oidc.Client, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the apps: %w", err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ids := map[string]bool{}
	for _, c := range list {
		if err := c.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if ids[c.ID] {
			return nil, fmt.Errorf("%s: the id %q is there twice", path, c.ID)
		}
		ids[c.ID] = true
	}
	return list, nil
}

// writeClients replaces the file as a whole, so that a crash leaves the old one.
func writeClients(path string, list []oidc.Client) error {
	text, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("no data folder: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the apps: %w", err)
	}
	return os.Rename(path+".new", path)
}
