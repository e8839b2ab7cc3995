package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// What a data folder holds beside the server's own files.
const (
	lockFile  = "lock"  // locked while a server uses the folder; never removed
	modeFile  = "mode"  // one line: how the folder's streams were written
	storeDir  = "nats"  // the streams
	probeFile = "probe" // written and removed at start

	seedFile = "seed.tar" // a backup that a cluster begins with

	// modeStandalone marks the folder of a server without a cluster. A cluster
	// member would take its streams for orphans and delete them.
	modeStandalone = "standalone"

	// probeBytes is what must be writable for a start: about what the server
	// writes before anything is published.
	probeBytes = 256 << 10
)

// folder is a data folder that this process has locked, from openFolder to
// close. checkSpace may be called concurrently.
type folder struct {
	dir  string
	mode string
	lock *flock.Flock
	free func(dir string) (uint64, error) // freeSpace

	roomy atomic.Pointer[time.Time] // when there was plenty of space
}

// openFolder makes dir (0700) where it is missing, locks it and checks that it
// can be written to. The errors are one line each and name the folder.
func openFolder(dir, mode string, free func(dir string) (uint64, error)) (*folder, error) {
	if dir == "" {
		return nil, errors.New("no data folder was given")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(abs, storeDir), 0o700); err != nil {
		return nil, folderError(abs, err)
	}
	lock := flock.New(filepath.Join(abs, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, folderError(abs, err)
	}
	if !locked {
		return nil, fmt.Errorf("data folder %s: %w", abs, ErrLocked)
	}
	f := &folder{dir: abs, mode: mode, lock: lock, free: free}
	if err := f.check(); err != nil {
		_ = f.close() // the first error is the one to tell, in one line
		return nil, err
	}
	return f, nil
}

// clusterMode is the mode of a cluster's node.
func clusterMode(c *Cluster, node string) string {
	if c.URL != "" {
		return "nats, cluster " + c.Name
	}
	return "cluster " + c.Name + ", node " + node
}

// check asks for free space and writes a probe, which finds a quota, and
// reads or, of a single server, makes the mode file.
func (f *folder) check() error {
	if err := f.checkSpace(0); err != nil {
		return folderError(f.dir, err)
	}
	if err := f.probe(); err != nil {
		return folderError(f.dir, err)
	}
	text, err := os.ReadFile(filepath.Join(f.dir, modeFile))
	was := strings.TrimSpace(string(text))
	switch {
	case errors.Is(err, os.ErrNotExist) && f.mode == modeStandalone:
		if f.seed() != "" {
			return fmt.Errorf("data folder %s: it holds a backup for a cluster: start it with --cluster, or restore the backup without into an empty folder", f.dir)
		}
		return f.settle()
	case errors.Is(err, os.ErrNotExist):
		return nil // a cluster may refuse this node yet
	case err != nil:
		return folderError(f.dir, err)
	case was == f.mode:
		return nil
	case was == modeStandalone:
		return fmt.Errorf("data folder %s: it belongs to a single server, and a cluster would delete its messages: back it up with fanfare backup, restore that with fanfare restore --cluster into an empty folder, and start the cluster with it", f.dir)
	case f.mode == modeStandalone:
		return fmt.Errorf("data folder %s: it belongs to a node of a cluster (%s): start it as that, or back the cluster up and restore that into an empty folder", f.dir, was)
	}
	return fmt.Errorf("data folder %s: it belongs to another node (%s) than this one (%s): give each node a folder of its own, and the same names at each start", f.dir, was, f.mode)
}

// settle writes down whose folder it is.
func (f *folder) settle() error {
	if err := f.write(modeFile, []byte(f.mode+"\n")); err != nil {
		return folderError(f.dir, err)
	}
	return nil
}

// seed is the backup that a cluster is to begin with, "" if there is none.
func (f *folder) seed() string {
	name := filepath.Join(f.dir, seedFile)
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return name
}

func (f *folder) probe() error {
	err := f.write(probeFile, make([]byte, probeBytes))
	if rm := os.Remove(filepath.Join(f.dir, probeFile)); err == nil {
		err = rm
	}
	return err
}

// write puts data on the disk under name, whole or not at all.
func (f *folder) write(name string, data []byte) error {
	tmp := filepath.Join(f.dir, name+".tmp")
	defer os.Remove(tmp) // gone already where all went well
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(f.dir, name))
}

// store is the folder that the server keeps its streams in.
func (f *folder) store() string {
	return filepath.Join(f.dir, storeDir)
}

// streamDir is where the server keeps a stream.
func (f *folder) streamDir(stream string) string {
	return filepath.Join(f.store(), "jetstream", "$G", "streams", stream)
}

// close gives the lock back. The lock file stays, since removing it would let
// two servers lock two files of that name.
func (f *folder) close() error {
	return f.lock.Close()
}

// folderError says in one line which folder cannot be used and why.
func folderError(dir string, err error) error {
	if isDiskFull(err) {
		return fmt.Errorf("data folder %s: %w", dir, ErrDiskFull)
	}
	return fmt.Errorf("data folder %s cannot be used: %w", dir, err)
}
