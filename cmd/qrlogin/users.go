package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/alexedwards/argon2id"
)

// user is somebody who may sign in.
type user struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Hash     string    `json:"password"`           // argon2id, PHC format
	Handle   []byte    `json:"handle,omitempty"`   // names the user to authenticators; random
	Passkeys []passkey `json:"passkeys,omitempty"` // newest last
}

// users are those of the data folder's users.json, which they write back when
// somebody's passkeys change. Safe for concurrent use. At most as many passwords are checked at once as there are
// processors: each check takes 19 MiB, and sign-ins are open to everybody.
type users struct {
	path  string
	decoy string // a hash that nobody has: strangers take as long as users
	gate  chan struct{}

	mu   sync.Mutex
	byID map[string]user
}

// argon is OWASP's choice for little memory: 19 MiB, 2 passes, 1 thread.
func argon() *argon2id.Params {
	return &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// openUsers reads the users, or makes the user demo. New passwords cost cost to
// check. It returns the demo password where it was made or set just now, which
// is the only time that it is known.
func openUsers(dir, setPassword string, cost *argon2id.Params) (u *users, demoPassword string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("no data folder: %w", err)
	}
	path := filepath.Join(dir, "users.json")
	list, err := readUsers(path)
	if err != nil {
		return nil, "", err
	}
	demoPassword = setPassword
	if len(list) == 0 && demoPassword == "" {
		demoPassword = readable()
	}
	if demoPassword != "" {
		hash, err := argon2id.CreateHash(demoPassword, cost)
		if err != nil {
			return nil, "", err
		}
		demo := user{ID: "demo", Name: "Demo User"}
		for _, one := range list {
			if one.ID == demo.ID {
				demo = one
			}
		}
		demo.Hash = hash
		list = append(slices.DeleteFunc(list, func(one user) bool { return one.ID == demo.ID }), demo)
		if err := writeUsers(path, list); err != nil {
			return nil, "", err
		}
	}
	decoy, err := argon2id.CreateHash(rand.Text(), cost)
	if err != nil {
		return nil, "", err
	}
	u = &users{path: path, byID: map[string]user{}, decoy: decoy, gate: make(chan struct{}, runtime.NumCPU())}
	for _, one := range list {
		if len(one.Handle) == 0 {
			one.Handle = []byte(rand.Text())
		}
		u.byID[one.ID] = one
	}
	return u, demoPassword, nil
}

// readable is a password of 80 random bits that a person can type on a phone.
func readable() string {
	s := strings.ToLower(rand.Text())
	return strings.Join([]string{s[:4], s[4:8], s[8:12], s[12:16]}, "-")
}

func readUsers(path string) (list []user, err error) {
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the users: %w", err)
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%s is damaged; move it away to begin anew: %w", path, err)
	}
	return list, nil
}

// writeUsers replaces the file as a whole, so that a crash leaves the old one.
func writeUsers(path string, list []user) error {
	body, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the users: %w", err)
	}
	return os.Rename(path+".new", path)
}

// get is the user of that id.
func (u *users) get(id string) (user, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one, ok := u.byID[id]
	return one, ok
}

// byHandle is the user whom authenticators know by that handle.
func (u *users) byHandle(handle []byte) (user, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, one := range u.byID {
		if len(handle) > 0 && bytes.Equal(one.Handle, handle) {
			return one, true
		}
	}
	return user{}, false
}

// change changes a user and writes the file before it answers.
func (u *users) change(id string, fn func(*user)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	one, ok := u.byID[id]
	if !ok {
		return errors.New("there is no such user")
	}
	one.Passkeys = slices.Clone(one.Passkeys)
	fn(&one)
	u.byID[id] = one
	return writeUsers(u.path, slices.SortedFunc(maps.Values(u.byID), func(a, b user) int { return strings.Compare(a.ID, b.ID) }))
}

// check is the user of that name and password. A wrong name takes as long as a
// wrong password. The error is ctx's when the queue is too long.
func (u *users) check(ctx context.Context, id, password string) (user, bool, error) {
	select {
	case u.gate <- struct{}{}:
		defer func() { <-u.gate }()
	case <-ctx.Done():
		return user{}, false, ctx.Err()
	}
	one, known := u.get(id)
	hash := one.Hash
	if !known {
		hash = u.decoy
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return user{}, false, err
	}
	return one, match && known, nil
}
