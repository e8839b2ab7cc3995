package bench

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

const (
	sampleStat = "4711 (a (nasty) name) S 1 4711 4711 0 -1 4194560 1000 0 0 0 250 75 3 4 20 0 12 0 100 1000000 500 18446744073709551615"
	sampleTCP  = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:46A0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0
   1: 0100007F:46A1 0100007F:46A0 01 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0
`
)

func TestParseUsage(t *testing.T) {
	u, err := parseUsage([]byte(sampleStat), []byte("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n"))
	if err != nil || u.cpu != 3250*time.Millisecond || u.rss != 1<<20 || u.peak != 2<<20 {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b c"} {
		if _, err := parseUsage([]byte(bad), nil); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	if _, err := parseUsage([]byte(sampleStat), []byte("VmRSS: many kB\n")); err == nil {
		t.Error("no error for memory that is no number")
	}
	if got := listening(sampleTCP, 18080); got != "12345" {
		t.Errorf("the listener is %q", got)
	}
	if got := listening(sampleTCP, 18081); got != "" {
		t.Errorf("%q listens, though its socket is connected", got)
	}
}

// TestReadUsage: what this process burns is seen, and a child counts, too.
func TestReadUsage(t *testing.T) {
	before, err := readUsage([]int{os.Getpid()})
	if err != nil || before.rss <= 0 || before.peak < before.rss/2 {
		t.Fatalf("%+v, %v", before, err)
	}
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer in.Close()
	both, err := readUsage([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	alone, err := readProcess(os.Getpid())
	if err != nil || both.rss <= alone.rss/2 {
		t.Fatalf("%+v and %+v, %v", both, alone, err)
	}
	list, err := readUsage([]int{os.Getpid(), child.Process.Pid})
	if err != nil || list.rss > both.rss*2 {
		t.Errorf("a child that is named counts twice: %+v and %+v, %v", list, both, err)
	}
	for burnt := before; burnt.cpu-before.cpu < 30*time.Millisecond; {
		if burnt, err = readUsage([]int{os.Getpid()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readUsage([]int{1 << 30}); err == nil {
		t.Error("no error for a process that is not there")
	}
}

func TestListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	if got := listener(at); got != nil {
		t.Errorf("found %v: bench takes itself for the server", got)
	}
}
