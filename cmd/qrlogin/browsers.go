package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// browsers are those from which somebody was signed in before, in the data
// folder's browsers.log: a line for each change, as many sign-ins may come in a
// second. They are qrlogin.KnownBrowsers. Safe for concurrent use; bounded by
// maxBrowsers for each user.
type browsers struct {
	path string

	mu     sync.Mutex
	byUser map[string][]qrlogin.Known // each the oldest first
	owners map[qrlogin.Hash][]string  // whose a browser is: one user's, as a rule
	live   int                        // browsers
	lines  int                        // of the file
}

// known is a line: a browser that was signed in, or a user who forgets theirs.
type known struct {
	Browser *qrlogin.Known `json:"browser,omitempty"`
	Forget  string         `json:"forget,omitempty"`
}

const (
	maxBrowsers = 50
	browserLife = 180 * 24 * time.Hour
	spareLines  = 1000 // of the file, over twice what is needed
)

func openBrowsers(dir string) (*browsers, error) {
	b := &browsers{path: filepath.Join(dir, "browsers.log"), byUser: map[string][]qrlogin.Known{}, owners: map[qrlogin.Hash][]string{}}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the known browsers: %w", err)
	}
	for line := range bytes.Lines(text) {
		var one known
		switch err := json.Unmarshal(line, &one); {
		case err == nil:
			b.apply(one)
			b.lines++
		case !bytes.HasSuffix(line, []byte("\n")): // cut off as the machine stopped
		default:
			return nil, fmt.Errorf("%s is damaged; move it away to begin anew: %w", b.path, err)
		}
	}
	return b, b.rewrite()
}

// Known is qrlogin.KnownBrowsers'.
func (b *browsers) Known(_ context.Context, userID string, browser qrlogin.Hash) (qrlogin.Known, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.byUser[userID] {
		if k.Browser.Equal(browser) && time.Since(k.Seen) < browserLife {
			return k, true, nil
		}
	}
	return qrlogin.Known{}, false, nil
}

// Asker is qrlogin.KnownBrowsers'.
func (b *browsers) Asker(_ context.Context, browser qrlogin.Hash) (found qrlogin.Known, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, user := range b.owners[browser] {
		for _, k := range b.byUser[user] {
			if k.Ask && k.Browser.Equal(browser) && time.Since(k.Seen) < browserLife && k.Seen.After(found.Seen) {
				found, ok = k, true
			}
		}
	}
	return found, ok, nil
}

// Remember is qrlogin.KnownBrowsers'.
func (b *browsers) Remember(_ context.Context, k qrlogin.Known) error {
	return b.change(known{Browser: &k})
}

// of are a user's browsers, newest first.
func (b *browsers) of(userID string) []qrlogin.Known {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.byUser[userID])
	slices.Reverse(out)
	return out
}

// forget forgets all browsers of a user: the next sign-in from each asks for
// digits again.
func (b *browsers) forget(userID string) error { return b.change(known{Forget: userID}) }

// change is carried out and written down before it answers.
func (b *browsers) change(one known) error {
	line, err := json.Marshal(one)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.apply(one)
	if b.lines > 2*b.live+spareLines {
		return b.rewrite()
	}
	file, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write the known browsers: %w", err)
	}
	b.lines++
	if _, err = file.Write(append(line, '\n')); err == nil {
		err = file.Close()
	} else {
		_ = file.Close() // the error before is the cause
	}
	if err != nil {
		return fmt.Errorf("write the known browsers: %w", err)
	}
	return nil
}

func (b *browsers) apply(one known) {
	if one.Browser == nil {
		b.replace(one.Forget, nil)
		return
	}
	k := *one.Browser
	list := slices.DeleteFunc(slices.Clone(b.byUser[k.User.ID]), func(old qrlogin.Known) bool {
		return old.Browser.Equal(k.Before) || old.Browser.Equal(k.Browser) || time.Since(old.Seen) >= browserLife
	})
	k.Before = qrlogin.Hash{}
	list = append(list, k)
	b.replace(k.User.ID, list[max(0, len(list)-maxBrowsers):])
}

// replace puts list in place of a user's browsers, and keeps owners in step.
func (b *browsers) replace(userID string, list []qrlogin.Known) {
	for _, old := range b.byUser[userID] {
		if left := slices.DeleteFunc(b.owners[old.Browser], func(id string) bool { return id == userID }); len(left) > 0 {
			b.owners[old.Browser] = left
		} else {
			delete(b.owners, old.Browser)
		}
	}
	b.live += len(list) - len(b.byUser[userID])
	if len(list) == 0 {
		delete(b.byUser, userID)
		return
	}
	for _, k := range list {
		b.owners[k.Browser] = append(b.owners[k.Browser], userID)
	}
	b.byUser[userID] = list
}

// rewrite makes the file anew with what is needed of it, as a whole, so that a
// crash leaves the old one.
func (b *browsers) rewrite() error {
	var text bytes.Buffer
	for _, id := range slices.Sorted(maps.Keys(b.byUser)) {
		for _, k := range b.byUser[id] {
			line, err := json.Marshal(known{Browser: &k})
			if err != nil {
				return err
			}
			text.Write(append(line, '\n'))
		}
	}
	if err := os.WriteFile(b.path+".new", text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the known browsers: %w", err)
	}
	b.lines = b.live
	return os.Rename(b.path+".new", b.path)
}
