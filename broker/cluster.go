package broker

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// Cluster is how a node is one of several.
type Cluster struct {
	Name   string   // the same on all nodes
	Node   string   // this one's, the same at each start; default the machine's name
	Listen string   // host:port, for the other nodes only
	Routes []string // host:port of the other nodes; this one may be among them
	Secret string   // the same on all nodes, 16 characters and more
	NATS   string   // URL of a NATS with JetStream, in place of Listen and Routes
}

// options are c as the bus takes them.
func (c *Cluster) options(waiting func(string)) (node string, o *bus.Cluster, err error) {
	if node = c.Node; node == "" {
		if node, err = os.Hostname(); err != nil {
			return "", nil, fmt.Errorf("the node has no name (%w): give it one with --node", err)
		}
	}
	return node, &bus.Cluster{
		Name: cmp.Or(c.Name, "fanfare"), Listen: c.Listen, Routes: c.Routes, Secret: c.Secret, URL: c.NATS, Waiting: waiting,
	}, nil
}

// The keys of the cluster's bucket that the hall keeps there.
const (
	sharedMaster  = "master"  // the master key, sealed under the cluster's secret
	sharedFirst   = "first"   // what the first start made, sealed under the master key
	sharedFounder = "founder" // who is making it

	founderTime = time.Minute
	sharedPause = 250 * time.Millisecond
)

// masterRecord is what sharedMaster holds. Probe is known text under the
// master key, by which a key is known as the right one.
type masterRecord struct {
	Key   []byte `json:"key"`
	Probe []byte `json:"probe"`
}

const probeText = "fanfare"

var errSealed = errors.New("it was sealed with another key")

// sealer is AES-256-GCM under a key derived from secret for one purpose.
func sealer(secret []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "fanfare cluster "+purpose+" v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func seal(secret []byte, purpose string, text []byte) ([]byte, error) {
	a, err := sealer(secret, purpose)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(text)+a.Overhead())
	rand.Read(nonce) // never fails
	return a.Seal(nonce, nonce, text, []byte(purpose)), nil
}

func unseal(secret []byte, purpose string, sealed []byte) ([]byte, error) {
	a, err := sealer(secret, purpose)
	if err != nil {
		return nil, err
	}
	n := a.NonceSize()
	if len(sealed) < n {
		return nil, errSealed
	}
	text, err := a.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, errSealed
	}
	return text, nil
}

// shared is what the nodes of a cluster agree on at the start. It belongs to
// build.
type shared struct {
	bucket *bus.Bucket
	config Config
	seeded bool // another node brings the master key and what was made at first, unless this one does
}

// masterKey is the cluster's, which this node makes where there is none. A
// node that has none yet gets it by the cluster's secret.
func (s *shared) masterKey(ctx context.Context) (key [32]byte, err error) {
	name := filepath.Join(s.config.Data, masterFile)
	own, has, err := readMaster(name)
	if err != nil {
		return key, err
	}
	for {
		e, err := s.bucket.Get(ctx, sharedMaster)
		if errors.Is(err, bus.ErrNotFound) {
			if !has && s.seeded {
				if err := s.wait(ctx); err != nil {
					return key, err
				}
				continue
			}
			if !has {
				rand.Read(own[:]) // never fails
			}
			err = s.offer(ctx, own, 0)
			if errors.Is(err, bus.ErrConflict) {
				continue
			}
			if err != nil || has {
				return own, err
			}
			return own, writeWhole(name, own[:])
		}
		if err != nil {
			return key, err
		}
		var r masterRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return key, fmt.Errorf("the cluster's master key cannot be read: %w", err)
		}
		text, err := unseal([]byte(s.config.Cluster.Secret), "master", r.Key)
		switch {
		case err == nil && has && string(text) != string(own[:]):
			return key, fmt.Errorf("%s is not the master key of the cluster %s: this folder is that of another one. Put the right key back, or start the node on an empty folder", name, s.config.Cluster.Name)
		case err == nil:
			copy(key[:], text)
			if has {
				return key, nil
			}
			return key, writeWhole(name, key[:])
		case !has || !opens(own, r.Probe):
			return key, errors.New("the cluster was begun with another cluster secret, and this folder has no master key that fits: set that secret, or begin with a node that has been in the cluster")
		}
		// The secret was changed on all nodes, and this one knows the key.
		if err := s.offer(ctx, own, e.Revision); !errors.Is(err, bus.ErrConflict) {
			return own, err
		}
	}
}

func opens(key [32]byte, probe []byte) bool {
	text, err := unseal(key[:], "probe", probe)
	return err == nil && string(text) == probeText
}

// offer writes the master key for the other nodes, in place of revision rev.
func (s *shared) offer(ctx context.Context, key [32]byte, rev uint64) error {
	var r masterRecord
	var err error
	if r.Key, err = seal([]byte(s.config.Cluster.Secret), "master", key[:]); err != nil {
		return err
	}
	if r.Probe, err = seal(key[:], "probe", []byte(probeText)); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if rev == 0 {
		_, err = s.bucket.Create(ctx, sharedMaster, text, 0)
	} else {
		_, err = s.bucket.Update(ctx, sharedMaster, text, rev, 0)
	}
	return err
}

// first is what the cluster's first start made. One of the nodes makes it with
// make, or brings it in its folder.
func (s *shared) first(ctx context.Context, key [32]byte, make func() (first, bool, error)) (f first, isFirst bool, err error) {
	name := filepath.Join(s.config.Data, firstFile)
	for {
		e, err := s.bucket.Get(ctx, sharedFirst)
		if err == nil {
			text, err := unseal(key[:], "first", e.Value)
			if err == nil {
				err = json.Unmarshal(text, &f)
			}
			if err != nil {
				return f, false, fmt.Errorf("what the cluster's first start made cannot be read: %w", err)
			}
			return f, isFirst, writeWhole(name, append(text, '\n'))
		}
		if !errors.Is(err, bus.ErrNotFound) {
			return f, false, err
		}
		_, err = os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && s.seeded:
			err = bus.ErrConflict // the node that brings it is at it
		case errors.Is(err, fs.ErrNotExist):
			_, err = s.bucket.Create(ctx, sharedFounder, []byte(s.config.Cluster.Node), founderTime)
		}
		switch {
		case errors.Is(err, bus.ErrConflict): // somebody else is at it
			if err := s.wait(ctx); err != nil {
				return f, false, err
			}
			continue
		case err != nil:
			return f, false, err
		}
		if f, isFirst, err = make(); err != nil {
			return f, false, err
		}
		text, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			return f, false, err
		}
		sealed, err := seal(key[:], "first", text)
		if err != nil {
			return f, false, err
		}
		if _, err := s.bucket.Create(ctx, sharedFirst, sealed, 0); err != nil && !errors.Is(err, bus.ErrConflict) {
			return f, false, err
		}
	}
}

func (s *shared) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(sharedPause):
		return nil
	}
}

// ClusterPath is where the server's own account asks how the cluster is.
const ClusterPath = "/v1/cluster"

// ClusterState is the answer of ClusterPath: the cluster as this node sees it.
type ClusterState struct {
	Name  string         `json:"cluster"` // "" without one
	Nodes []bus.NodeInfo `json:"nodes"`
	Size  int            `json:"size"`             // how many nodes there should be; 0 where that is not known
	Ready bool           `json:"ready"`            // of this node
	Why   string         `json:"reason,omitempty"` // why not

	Encrypted string `json:"encrypted,omitempty"` // how the ways between the nodes are; "" where they are not ours, or not there
}

// state answers ClusterPath for the account that own is.
func (b *Broker) state(own protocol.AccountID) http.Handler {
	return b.forAccount(own, "How the cluster is", func(w http.ResponseWriter, r *http.Request) {
		s := ClusterState{Nodes: b.bus.Nodes()}
		if c := b.config.Cluster; c != nil {
			s.Name, s.Size, s.Encrypted = c.Name, b.bus.Size(), b.bus.Encrypted()
		}
		err := b.ready(r.Context())
		if s.Ready = err == nil; err != nil {
			s.Why = err.Error()
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s) // the client may be gone
	})
}
