package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// browsers are those from which somebody was signed in before, in the data
// folder's browsers.json. They are qrlogin.KnownBrowsers. Safe for concurrent
// use; bounded by maxBrowsers for each user.
type browsers struct {
	path string

	mu   sync.Mutex
	list []qrlogin.Known // the oldest first
}

const (
	maxBrowsers = 50
	browserLife = 180 * 24 * time.Hour
)

func openBrowsers(dir string) (*browsers, error) {
	b := &browsers{path: filepath.Join(dir, "browsers.json")}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the known browsers: %w", err)
	}
	if err := json.Unmarshal(text, &b.list); err != nil {
		return nil, fmt.Errorf("%s is damaged; move it away to begin anew: %w", b.path, err)
	}
	return b, nil
}

// Known is qrlogin.KnownBrowsers'.
func (b *browsers) Known(_ context.Context, userID string, browser qrlogin.Hash) (qrlogin.Known, bool, error) {
	return b.newest(func(k qrlogin.Known) bool { return k.User.ID == userID && k.Browser.Equal(browser) })
}

// Asker is qrlogin.KnownBrowsers'.
func (b *browsers) Asker(_ context.Context, browser qrlogin.Hash) (qrlogin.Known, bool, error) {
	return b.newest(func(k qrlogin.Known) bool { return k.Ask && k.Browser.Equal(browser) })
}

func (b *browsers) newest(is func(qrlogin.Known) bool) (qrlogin.Known, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range slices.Backward(b.list) {
		if is(k) && time.Since(k.Seen) < browserLife {
			return k, true, nil
		}
	}
	return qrlogin.Known{}, false, nil
}

// Remember is qrlogin.KnownBrowsers'.
func (b *browsers) Remember(_ context.Context, k qrlogin.Known) error {
	return b.change(k.User.ID, func(list []qrlogin.Known) []qrlogin.Known {
		list = slices.DeleteFunc(list, func(old qrlogin.Known) bool { return old.Browser.Equal(k.Before) || old.Browser.Equal(k.Browser) })
		k.Before = qrlogin.Hash{}
		return append(list, k)
	})
}

// of are a user's browsers, newest first.
func (b *browsers) of(userID string) (out []qrlogin.Known) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range slices.Backward(b.list) {
		if k.User.ID == userID {
			out = append(out, k)
		}
	}
	return out
}

// forget forgets all browsers of a user: the next sign-in from each asks for
// digits again.
func (b *browsers) forget(userID string) error {
	return b.change(userID, func([]qrlogin.Known) []qrlogin.Known { return nil })
}

// change replaces a user's browsers and writes the file.
func (b *browsers) change(userID string, fn func([]qrlogin.Known) []qrlogin.Known) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var mine, others []qrlogin.Known
	for _, k := range b.list {
		switch {
		case k.User.ID != userID:
			others = append(others, k)
		case time.Since(k.Seen) < browserLife:
			mine = append(mine, k)
		}
	}
	mine = fn(mine)
	b.list = append(others, mine[max(0, len(mine)-maxBrowsers):]...)
	text, err := json.MarshalIndent(b.list, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the known browsers: %w", err)
	}
	return os.Rename(b.path+".new", b.path)
}
