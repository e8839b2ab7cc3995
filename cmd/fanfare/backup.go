package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fanfarehq/fanfare/broker"
)

type backupCmd struct {
	Out string `placeholder:"FILE" complete:"file" help:"Where to write it, - for standard output. Default: fanfare-<date>-<time>.tar in this folder."`
	admin
}

// Help is part of kong.HelpProvider.
func (backupCmd) Help() string {
	return examples("fanfare backup", "fanfare backup --out /backups/fanfare.tar --data /var/lib/fanfare") + `

The file holds the server's secrets, and is written so that only you can read it. The server goes on while it is made.`
}

// Run fetches a backup, checks that it is whole and gives it its name then.
func (c *backupCmd) Run(ctx context.Context, con *console) error {
	r, err := c.client(con.Settings)
	if err != nil {
		return err
	}
	if c.Out == "-" {
		return c.fetch(ctx, r, con.Out)
	}
	if c.Out == "" {
		c.Out = time.Now().Format("fanfare-20060102-150405.tar")
	}
	f, err := os.CreateTemp(filepath.Dir(c.Out), ".fanfare-backup-*") // mode 0600
	if err != nil {
		return &failure{Message: err.Error(), Remedy: "Name a file in a folder that you may write to, with --out.", Err: err}
	}
	defer os.Remove(f.Name()) // gone already where all went well
	defer f.Close()
	if err := c.fetch(ctx, r, f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := broker.CheckBackup(f); err != nil {
		return &failure{Message: "the backup broke off: " + err.Error(), Remedy: "Look into the server's log, and try again.", Err: err}
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), os.Rename(f.Name(), c.Out)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "%s  %d bytes\n", c.Out, info.Size())
	return err
}

// fetch copies the backup to w, however long it takes.
func (c *backupCmd) fetch(ctx context.Context, r *rest, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+broker.BackupPath, nil)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.credential)
	slow := *r.http
	slow.Timeout = 0
	res, err := slow.Do(req)
	if err != nil {
		return unreachable(ctx, r.base, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return unreachable(ctx, r.base, err)
		}
		return problem(r.base, res, answer)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("the backup broke off: %w", err)
	}
	return nil
}

type restoreCmd struct {
	In      string `required:"" placeholder:"FILE" complete:"file" help:"The backup."`
	Cluster string `setting:"cluster" placeholder:"NAME" help:"Make the folder of a node that brings the backup into this new cluster."`
}

// Help is part of kong.HelpProvider.
func (restoreCmd) Help() string {
	return examples("fanfare restore --in fanfare.tar --data ./restored", "fanfare serve --data ./restored")
}

// Run makes the data folder. No server may run on it, and nothing be in it.
func (c *restoreCmd) Run(ctx context.Context, con *console, all *cli) error {
	f, err := os.Open(c.In)
	if err != nil {
		return &failure{Message: err.Error(), Remedy: "Name the file that fanfare backup wrote, with --in.", Err: err}
	}
	defer f.Close()
	if c.Cluster != "" {
		err = broker.RestoreForCluster(f, all.Data)
	} else {
		err = broker.Restore(ctx, f, all.Data, nil)
	}
	if err != nil {
		return &failure{Message: err.Error(), Remedy: "The backup is untouched. Restore into a folder that is missing or empty.", Err: err}
	}
	if c.Cluster != "" {
		_, err = fmt.Fprintf(con.Out, "%s holds the backup; the cluster %s takes it over when all of its nodes were started for the first time, this one with --data %s and the others on empty folders\n", all.Data, c.Cluster, all.Data)
		return err
	}
	_, err = fmt.Fprintf(con.Out, "restored into %s; start it with: fanfare serve --data %s\n", all.Data, all.Data)
	return err
}
