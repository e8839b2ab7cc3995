package broker_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// mountSmall mounts a disk of that size on dir. Only this process sees it: it
// must have been started in a namespace of its own.
func mountSmall(dir, size string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
}

// onSmallDisk has the command mount a small disk on dir.
func onSmallDisk(dir, size string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, nodeDisk+"="+dir+"|"+size)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
}

func ballast(dir string) string { return filepath.Join(dir, "ballast") }

// fill writes until only about left bytes of dir's disk are free.
func fill(dir string, left int64) error {
	f, err := os.OpenFile(ballast(dir), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			return err
		}
		more := int64(st.Bavail)*st.Bsize - left
		if more <= 0 {
			return nil
		}
		if _, err := f.Write(make([]byte, min(more, 64<<10))); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return nil
			}
			return err
		}
	}
}
