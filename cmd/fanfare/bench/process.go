package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used: CPU since they began, memory now and at
// most. It is the sum over the processes; pages that they share count in each.
type usage struct {
	cpu       time.Duration
	rss, peak int64 // bytes
}

var errProcess = errors.New("/proc tells nothing of the process")

// readUsage reads what processes and all their children have used.
func readUsage(pids []int) (usage, error) {
	var sum usage
	seen := map[int]bool{}
	var add func(pid int) error
	add = func(pid int) error {
		if seen[pid] {
			return nil
		}
		seen[pid] = true
		u, err := readProcess(pid)
		if err != nil {
			return err
		}
		sum.cpu += u.cpu
		sum.rss += u.rss
		sum.peak += u.peak
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			text, _ := os.ReadFile(task) // a thread may have ended meanwhile
			for _, word := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(word); err == nil {
					_ = add(child) // so may a child
				}
			}
		}
		return nil
	}
	for _, pid := range pids {
		if err := add(pid); err != nil {
			return usage{}, err
		}
	}
	return sum, nil
}

// readProcess reads what one process has used (proc_pid_stat(5),
// proc_pid_status(5)).
func readProcess(pid int) (usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return usage{}, fmt.Errorf("process: %w", err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return usage{}, fmt.Errorf("process: %w", err)
	}
	return parseUsage(stat, status)
}

// clockTick is the unit of CPU time in /proc: sysconf(_SC_CLK_TCK) is 100 on every
// Linux.
const clockTick = 10 * time.Millisecond

func parseUsage(stat, status []byte) (u usage, err error) {
	// The command's name stands in parentheses and may have any in it.
	_, rest, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 13 {
		return usage{}, errProcess
	}
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return usage{}, errProcess
		}
		u.cpu += time.Duration(n) * clockTick
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		at := map[string]*int64{"VmRSS": &u.rss, "VmHWM": &u.peak}[name]
		if at == nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return usage{}, errProcess
		}
		*at = n << 10
	}
	return u, nil
}

// listener finds the process that listens at an address of this machine, by
// the sockets in /proc/net and each process's open files. It returns nil where
// there is none that this user may look at.
func listener(at netip.AddrPort) []int {
	inode := ""
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(file) // not there without IPv6
		if inode = listening(string(text), at.Port()); inode != "" {
			break
		}
	}
	if inode == "" {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil && pid != os.Getpid() {
				return []int{pid}
			}
		}
	}
	return nil
}

// listening returns the inode of the socket that listens at a port.
func listening(table string, port uint16) string {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			return f[9]
		}
	}
	return ""
}
