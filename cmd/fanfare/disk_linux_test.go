package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// fillDisk mounts a small disk on dir and fills it, in the process that is
// about to be the program. Only that process sees it.
func fillDisk(dir string) {
	err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mount:", err)
		os.Exit(99)
	}
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
}

func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(disk, "data")},
		{"serve", "--listen", "127.0.0.1:0", "--data", disk},
	} {
		cmd := program(t, args...)
		cmd.Env = append(cmd.Env, "TEST_PROGRAM_TMPFS="+disk)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		if _, isExit := err.(*exec.ExitError); err != nil && !isExit || cmd.ProcessState.ExitCode() == 99 {
			t.Fatalf("this test mounts a small disk for a process of its own, and may not here (%v %s): run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)", err, &stderr)
		}
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
		oneLineOf(t, stderr.String(), disk, "full", "space")
	}
}
