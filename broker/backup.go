package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fanfarehq/fanfare/broker/api"
	"github.com/fanfarehq/fanfare/broker/bus"
	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// BackupPath is where a node's own account (not one that it made later) gets
// a backup of the whole node.
const BackupPath = "/v1/backup"

// backupFiles are the files of the data folder that a backup holds beside the
// streams. The env files are written anew at every start.
func backupFiles() []string { return []string{masterFile, firstFile} }

// Backup writes a backup of the running node to w: accounts, apps, keys,
// messages, and the secrets of the data folder. Keep it as safe as those.
func (b *Broker) Backup(ctx context.Context, w io.Writer) error {
	files := map[string][]byte{}
	for _, name := range backupFiles() {
		data, err := os.ReadFile(filepath.Join(b.config.Data, name))
		if err != nil {
			return err
		}
		files[name] = data
	}
	return b.bus.Backup(ctx, w, files)
}

// CheckBackup reads a backup to its end. The error says that it is none, or
// was cut off.
func CheckBackup(r io.Reader) error { return bus.CheckBackup(r) }

// Restore makes the data folder dir, which must be missing or empty, of a
// backup. When it fails dir is empty again. The error is one line that a
// person can act on. A nil log logs nothing.
func Restore(ctx context.Context, r io.ReadSeeker, dir string, log *slog.Logger) error {
	return restoreWith(r, dir, func() (map[string][]byte, error) {
		return bus.Restore(ctx, bus.Options{Dir: dir, Logger: log}, r)
	})
}

// RestoreForCluster makes the data folder of the first node of a new cluster:
// the cluster takes the backup over when all of its nodes were started.
func RestoreForCluster(r io.ReadSeeker, dir string) error {
	return restoreWith(r, dir, func() (map[string][]byte, error) { return bus.Seed(r, dir) })
}

func restoreWith(r io.ReadSeeker, dir string, load func() (map[string][]byte, error)) error {
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("the folder %s is not empty: restore into an empty one, with --data", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := bus.CheckBackup(r); err != nil {
		return err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err := restore(dir, load)
	if err == nil {
		return nil
	}
	entries, rerr := os.ReadDir(dir)
	for _, e := range entries {
		rerr = errors.Join(rerr, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return fmt.Errorf("%w; and a part of it stays in %s", err, dir)
	}
	return explain(Config{Data: dir}, err)
}

func restore(dir string, load func() (map[string][]byte, error)) error {
	files, err := load()
	if err != nil {
		return err
	}
	for _, name := range backupFiles() {
		data, ok := files[name]
		if !ok {
			return fmt.Errorf("%w (it has no %s)", bus.ErrBackup, name)
		}
		if err := writeWhole(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// backups answers BackupPath for the account that own is. One that breaks has
// no end, by which CheckBackup knows it.
func (b *Broker) backups(own protocol.AccountID) http.Handler {
	return b.forAccount(own, "A backup", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the limit on request bodies is not for this
		w.Header().Set("Content-Type", "application/x-tar")
		w.Header().Set("Cache-Control", "no-store")
		if err := b.Backup(r.Context(), w); err != nil {
			b.log.Error("a backup broke off", "err", err)
			return
		}
		b.log.Info("a backup was made")
	})
}

// forAccount is h for GET requests with the token of the account that own is;
// what names it in the error.
func (b *Broker) forAccount(own protocol.AccountID, what string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			api.WriteError(w, protocol.NewError(protocol.CodeMethodNotAllowed))
			return
		}
		scheme, credential, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			api.WriteError(w, protocol.NewError(protocol.CodeCredentialMissing))
			return
		}
		who, err := b.tenants.Authenticate(r.Context(), strings.TrimSpace(credential), r.Header.Get("Origin"))
		if err != nil {
			api.WriteError(w, err)
			return
		}
		if who.Kind != tenant.KindAccount || who.Account != own {
			api.WriteError(w, protocol.Errorf(protocol.CodeKeyKind, "%s takes the token of the server's own account (ffa_), as in admin.env of its data folder.", what))
			return
		}
		h(w, r)
	})
}
