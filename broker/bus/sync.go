package bus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// syncer brings a stream's writes to the disk when asked. The message server
// has written what it acknowledged, so that it outlives the process; but it
// syncs once a second at best, or else every single write of every stream.
// Some of our streams must outlive a power cut without the others paying.
//
// A stream's newest block is the file of the highest number; the server only
// appends to that. Concurrent calls share one sync (group commit). It may be
// called concurrently and holds nothing between calls.
type syncer struct {
	dir   string                         // with the blocks
	tells func(file string, bytes int64) // of what was synced, for tests; may be nil

	disk  sync.Mutex // held while syncing
	block int        // the newest block at the last sync; guarded by disk

	mu   sync.Mutex
	next *round // that has not begun; callers join it
}

// round is one sync that several callers wait for.
type round struct {
	done chan struct{}
	err  error
}

func newSyncer(streamDir string) *syncer {
	return &syncer{dir: filepath.Join(streamDir, "msgs"), block: -1}
}

// sync returns when all that was written before the call is on the disk.
func (s *syncer) sync() error {
	s.mu.Lock()
	r := s.next
	if r != nil {
		s.mu.Unlock()
		<-r.done
		return r.err
	}
	r = &round{done: make(chan struct{})}
	s.next = r
	s.mu.Unlock()

	s.disk.Lock()
	s.mu.Lock()
	s.next = nil // who comes from now on may have written after this sync began
	s.mu.Unlock()
	r.err = s.flush()
	s.disk.Unlock()
	close(r.done)
	return r.err
}

func (s *syncer) flush() error {
	newest, err := s.newest()
	if err != nil || newest < 0 {
		return err
	}
	if s.block >= 0 && s.block != newest { // the last writes before the new block began
		if err := syncFile(s.file(s.block)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	size := int64(0)
	if s.tells != nil {
		size = sizeOf(s.file(newest))
	}
	if err := syncFile(s.file(newest)); err != nil {
		return err
	}
	if s.tells != nil {
		s.tells(s.file(newest), size)
	}
	if s.block != newest { // the file's name must last too
		if err := syncFile(s.dir); err != nil {
			return err
		}
	}
	s.block = newest
	return nil
}

func (s *syncer) file(block int) string {
	return filepath.Join(s.dir, strconv.Itoa(block)+".blk")
}

func (s *syncer) newest() (int, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return -1, err
	}
	newest := -1
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".blk"); ok {
			if n, err := strconv.Atoi(name); err == nil {
				newest = max(newest, n)
			}
		}
	}
	return newest, nil
}

// syncTree syncs every file and folder below dir: what a stream is made of
// when it is new.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || d.Type().IsRegular() {
			if err := syncFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

func sizeOf(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
