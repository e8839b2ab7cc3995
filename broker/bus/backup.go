package bus

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A backup is a tar archive: files/<name> as the caller gives them, then for
// each stream streams/<name>/about and numbered parts of the message server's
// own snapshot of it, and an empty end, without which it was cut off. Each
// stream is as it was at one moment; different streams at different moments.
const (
	backupFiles   = "files/"
	backupStreams = "streams/"
	backupAbout   = "about"
	backupEnd     = "end"

	backupPart  = 512 << 10        // bytes of a part
	backupQuiet = 30 * time.Second // without a part, until it is given up
)

// Backup writes all that the bus holds to w, and files beside it, while
// everything goes on. What w takes slowly slows nothing else.
func (b *Bus) Backup(ctx context.Context, w io.Writer, files map[string][]byte) error {
	nc, err := b.dial("backup") // its own: it is slow
	if err != nil {
		return err
	}
	defer nc.Close()
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writePart(out, backupFiles+name, files[name]); err != nil {
			return err
		}
	}
	var names []string
	list := b.js.StreamNames(ctx)
	for name := range list.Name() {
		if name != bucketStream+ClusterBucket { // what a cluster is stays behind
			names = append(names, name)
		}
	}
	if err := list.Err(); err != nil {
		return classify("listing the streams", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := backupStream(ctx, nc, out, name); err != nil {
			return fmt.Errorf("backing up the stream %s: %w", name, err)
		}
	}
	if err := writePart(out, backupEnd, nil); err != nil {
		return err
	}
	return out.Close()
}

func writePart(out *tar.Writer, name string, data []byte) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

func backupStream(ctx context.Context, nc *nats.Conn, out *tar.Writer, name string) error {
	inbox := nats.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection ends anyway
	var about server.JSApiStreamSnapshotResponse
	if err := ask(ctx, nc, fmt.Sprintf(server.JSApiStreamSnapshotT, name), server.JSApiStreamSnapshotRequest{DeliverSubject: inbox, ChunkSize: backupPart, NoConsumers: true}, &about); err != nil {
		return err
	}
	if about.Error != nil {
		return about.Error
	}
	text, err := json.Marshal(server.JSApiStreamRestoreRequest{Config: *about.Config, State: *about.State})
	if err != nil {
		return err
	}
	folder := backupStreams + name + "/"
	if err := writePart(out, folder+backupAbout, text); err != nil {
		return err
	}
	for n := 0; ; n++ {
		m, err := nextPart(ctx, sub)
		if err != nil {
			return err
		}
		if len(m.Data) == 0 {
			if status := m.Header.Get("Status"); status != "" && status != "204" {
				return fmt.Errorf("the message server answers %s %s", status, m.Header.Get("Description"))
			}
			return nil
		}
		if err := writePart(out, fmt.Sprintf("%s%08d", folder, n), m.Data); err != nil {
			return err
		}
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				return err
			}
		}
	}
}

func nextPart(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, backupQuiet)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// ask sends a request of the message server's API and reads the answer.
func ask(ctx context.Context, nc *nats.Conn, subject string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, backupQuiet)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(m.Data, out)
}

// ErrBackup: what should be a backup is none, or was cut off.
var ErrBackup = errors.New("this is no whole backup")

// CheckBackup reads a backup to its end and returns ErrBackup where it has
// none. It does not look into the streams.
func CheckBackup(r io.Reader) error {
	in, last := tar.NewReader(r), ""
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) && last == backupEnd {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w (%w)", ErrBackup, err)
		}
		last = h.Name
	}
}

// backedUp are the names of the streams in a backup.
func backedUp(r io.ReadSeeker) (names []string, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrBackup, err)
		}
		if folder, name := path.Split(h.Name); strings.HasPrefix(folder, backupStreams) && name == backupAbout {
			names = append(names, path.Base(folder))
		}
	}
}

// Seed makes dir, which must be empty or missing, the folder of a node that
// brings the backup r into a new cluster. The files that Backup was given are
// returned.
func Seed(r io.ReadSeeker, dir string) (files map[string][]byte, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, folderError(dir, err)
	}
	files = map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrBackup, err)
		}
		if folder, name := path.Split(h.Name); folder == backupFiles && h.Size <= MaxBody {
			if files[name], err = io.ReadAll(in); err != nil {
				return nil, fmt.Errorf("%w (%w)", ErrBackup, err)
			}
		}
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, seedFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, folderError(dir, err)
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, folderError(dir, err)
	}
	return files, nil
}

// Restore makes a data folder of a backup. o.Dir must be empty or missing; on
// an error it may hold a part. The files that Backup was given are returned.
// Streams begin new epochs when the folder is opened.
func Restore(ctx context.Context, o Options, r io.Reader) (files map[string][]byte, err error) {
	b, err := newBus(ctx, o, freeSpace)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if b.server, err = b.startServer(ctx, "fanfare"); err != nil {
		return nil, err
	}
	return b.load(ctx, r)
}

// load makes the streams of a backup, which must not be there.
func (b *Bus) load(ctx context.Context, r io.Reader) (files map[string][]byte, err error) {
	nc, err := b.dial("restore")
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	files = map[string][]byte{}
	into := &restoring{nc: nc, replicas: b.replicas}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err != nil { // io.EOF too: the end comes before
			return nil, fmt.Errorf("%w (%w)", ErrBackup, err)
		}
		if h.Size > MaxBody {
			return nil, ErrBackup
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrBackup, err)
		}
		switch folder, name := path.Split(h.Name); {
		case h.Name == backupEnd:
			return files, into.finish(ctx)
		case folder == backupFiles:
			files[name] = data
		case strings.HasPrefix(folder, backupStreams) && name == backupAbout:
			err = into.begin(ctx, data)
		case strings.HasPrefix(folder, backupStreams):
			err = into.part(ctx, data)
		}
		if err != nil {
			return nil, err
		}
	}
}

// restoring is the stream that a Restore is at.
type restoring struct {
	nc       *nats.Conn
	replicas int
	stream   string // "" = none
	subject  string // where its parts go
}

func (r *restoring) begin(ctx context.Context, about []byte) error {
	if err := r.finish(ctx); err != nil {
		return err
	}
	var q server.JSApiStreamRestoreRequest
	if err := json.Unmarshal(about, &q); err != nil || q.Config.Name == "" {
		return fmt.Errorf("%w (a stream has no description)", ErrBackup)
	}
	q.Config.Replicas = r.replicas
	if strings.HasPrefix(q.Config.Name, bucketStream) {
		q.Config.AllowDirect = r.replicas == 1
	}
	var answer server.JSApiStreamRestoreResponse
	err := ask(ctx, r.nc, fmt.Sprintf(server.JSApiStreamRestoreT, q.Config.Name), q, &answer)
	if err == nil && answer.Error != nil {
		err = answer.Error
	}
	if err != nil {
		return classify("restoring the stream "+q.Config.Name, err)
	}
	r.stream, r.subject = q.Config.Name, answer.DeliverSubject
	return nil
}

// part sends a part; an empty one ends the stream.
func (r *restoring) part(ctx context.Context, data []byte) error {
	if r.stream == "" {
		return fmt.Errorf("%w (a part of no stream)", ErrBackup)
	}
	ctx, cancel := context.WithTimeout(ctx, backupQuiet)
	defer cancel()
	m, err := r.nc.RequestWithContext(ctx, r.subject, data)
	for errors.Is(err, nats.ErrNoResponders) && ctx.Err() == nil {
		// Another node takes it, and the way to there opens just now.
		select {
		case <-time.After(healPause):
		case <-ctx.Done():
		}
		m, err = r.nc.RequestWithContext(ctx, r.subject, data)
	}
	var answer server.ApiResponse
	if err == nil && len(m.Data) > 0 {
		if err = json.Unmarshal(m.Data, &answer); err == nil && answer.Error != nil {
			err = answer.Error
		}
	}
	if err != nil {
		return classify("restoring the stream "+r.stream, err)
	}
	return nil
}

func (r *restoring) finish(ctx context.Context) error {
	if r.stream == "" {
		return nil
	}
	err := r.part(ctx, nil)
	r.stream = ""
	return err
}
