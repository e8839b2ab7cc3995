package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The free space below which a check warns and fails, in bytes.
const (
	littleSpace = 1 << 30
	noSpace     = 64 << 20
)

// folder looks at the data folder: there, a folder, closed to others, and
// writable for us.
func (p *patient) folder(context.Context) finding {
	info, err := os.Stat(p.data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return skip("%s is not there: no server has run on it yet", p.data)
	case err != nil:
		return fail(err.Error(), "Run this as the user that the server runs as.")
	case !info.IsDir():
		return fail(p.data+" is not a folder", "Name a folder with --data.")
	}
	p.isHere = true
	if mode := info.Mode().Perm(); mode&0o007 != 0 && hasModes {
		return fail(fmt.Sprintf("%s is open to other users (mode %04o), and holds secrets", p.data, mode), "chmod 700 "+shellQuote(p.data))
	}
	probe, err := os.CreateTemp(p.data, ".doctor-*")
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return fail("the disk of "+p.data+" is full", "Free some space; nothing has to be restarted.")
		}
		return fail(p.data+" cannot be written to: "+err.Error(), "Run this, and the server, as the user that owns the folder.")
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return warn("a probe file could not be removed: "+err.Error(), "Remove it by hand.")
	}
	if mode := info.Mode().Perm(); mode&0o070 != 0 && hasModes { // wanted on some container volumes
		return warn(fmt.Sprintf("%s is open to its group (mode %04o), and holds secrets", p.data, mode), "chmod 700 "+shellQuote(p.data)+", unless the group is the server's own")
	}
	return ok("%s is there, closed to others, and writable", p.data)
}

// secrets looks at the modes of the files that hold keys.
func (p *patient) secrets(context.Context) finding {
	if !p.isHere {
		return skip("no data folder")
	}
	var open, closed []string
	for _, name := range []string{"master.key", "first.json", "demo.env", "admin.env"} {
		info, err := os.Stat(filepath.Join(p.data, name))
		if err != nil {
			continue // a folder that was never started has none of them
		}
		if info.Mode().Perm()&0o007 != 0 && hasModes {
			open = append(open, shellQuote(filepath.Join(p.data, name)))
			continue
		}
		closed = append(closed, name)
	}
	if len(open) > 0 {
		return fail("other users can read "+strings.Join(open, ", "), "chmod 600 "+strings.Join(open, " ")+", and rotate the keys if others use this machine")
	}
	if len(closed) == 0 {
		return skip("none yet: the first start makes them")
	}
	return ok("other users cannot read %s", strings.Join(closed, ", "))
}

// disk looks at the free space under the data folder, or where it would be.
func (p *patient) disk(context.Context) finding {
	dir := p.data
	if !p.isHere {
		dir = filepath.Dir(filepath.Clean(dir))
	}
	free, err := freeBytes(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return skip("free space is not known on this system")
	}
	if err != nil {
		return warn("the free space under "+dir+" is not known: "+err.Error(), "Look at it by hand (df).")
	}
	words := fmt.Sprintf("%.1f GiB free under %s", float64(free)/(1<<30), dir)
	switch {
	case free < noSpace:
		return fail(fmt.Sprintf("%d MiB free under %s", free>>20, dir), "Free some space, or move the folder and name it with --data.")
	case free < littleSpace:
		return warn(words, "Free some space before it runs out.")
	}
	return ok("%s", words)
}

// lock tells whether a server holds the data folder, and whether that is the
// one that answers.
func (p *patient) lock(context.Context) finding {
	if !p.isHere {
		return skip("no data folder")
	}
	held, err := isLocked(filepath.Join(p.data, "lock"))
	ours := sameURL(readEnvFile(filepath.Join(p.data, "demo.env")).values["FANFARE_URL"], p.rest.base)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errors.ErrUnsupported):
		return skip("not known")
	case err != nil:
		return warn("the lock cannot be looked at: "+err.Error(), "Run this as the user that the server runs as.")
	case held && p.up == nil && ours:
		return fail("a process holds "+p.data+", and the server of that folder does not answer", "Stop that process (fuser "+shellQuote(filepath.Join(p.data, "lock"))+" names it), then start the server again.")
	case held && p.up != nil && ours:
		return ok("held by the server that answers")
	case held:
		return ok("held by a server (not the one that is checked here)")
	case p.up != nil && ours:
		return warn(p.rest.base+" answers, but no server holds "+p.data, "Check --data and --url: that server seems to use another folder.")
	}
	return ok("free: no server runs on it")
}

// address looks whether a server could listen, where none answers.
func (p *patient) address(context.Context) finding {
	if p.up != nil {
		return ok("the server that answers has it")
	}
	l, err := net.Listen("tcp", p.cmd.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(p.cmd.Listen+" is taken by another program", "Stop that program, or choose another address with --listen.")
	case errors.Is(err, syscall.EACCES):
		return fail("no permission to listen on "+p.cmd.Listen, "Choose a port over 1023 with --listen.")
	case err != nil:
		return fail("cannot listen on "+p.cmd.Listen+": "+err.Error(), "Choose another address with --listen.")
	}
	if err := l.Close(); err != nil {
		return warn(err.Error(), "")
	}
	return ok("%s is free", p.cmd.Listen)
}
