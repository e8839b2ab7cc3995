package broker_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker"
	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// nodeDir is the variable by which this test binary is a node: it names the
// data folder. nodeDisk names a folder to mount a small disk on first, and how
// large.
const (
	nodeDir  = "TEST_NODE_DATA"
	nodeDisk = "TEST_NODE_DISK"

	nodeCluster = "TEST_NODE_CLUSTER" // a broker.Cluster as JSON: the node is one of several
)

// TestMain lets this test binary be a node, for the tests that kill one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(nodeDir); dir != "" {
		os.Exit(beNode(dir))
	}
	os.Exit(m.Run())
}

// beNode runs a node until its standard input ends. It tells on standard
// output, as one line of JSON, what a welcome does. The lines of the input are
// orders, each answered with a line:
//
//	fill N   leave N bytes of the small disk free
//	free     take what fill wrote away again
//	cpu FILE begin a profile of the CPU; without FILE, end it
func beNode(dir string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	disk, size, _ := strings.Cut(os.Getenv(nodeDisk), "|")
	if disk != "" {
		if err := mountSmall(disk, size); err != nil {
			return fail(fmt.Errorf("mount: %w", err))
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := broker.Config{Listen: "127.0.0.1:0", Data: dir, DrainTime: 1, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if text := os.Getenv(nodeCluster); text != "" {
		if err := json.Unmarshal([]byte(text), &c.Cluster); err != nil {
			return fail(err)
		}
	}
	b, err := broker.New(ctx, c)
	if err != nil {
		return fail(err)
	}
	w, err := json.Marshal(b.Welcome())
	if err != nil {
		return fail(err)
	}
	fmt.Println(string(w))
	go func() {
		defer stop()
		orders := bufio.NewScanner(os.Stdin)
		for orders.Scan() {
			what, arg, _ := strings.Cut(orders.Text(), " ")
			switch what {
			case "fill":
				n, err := strconv.ParseInt(arg, 10, 64)
				fmt.Println(cmp.Or(err, fill(disk, n)))
			case "free":
				fmt.Println(os.Remove(ballast(disk)))
			case "cpu":
				fmt.Println(profile(arg))
			}
		}
	}()
	if err := errors.Join(b.Run(ctx), b.Close()); err != nil {
		return fail(err)
	}
	return 0
}

// profile begins a profile of the CPU in file, or ends it where file is "".
func profile(file string) error {
	if file == "" {
		pprof.StopCPUProfile()
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(f) // f is closed by the process's end
}

// process is a node in a process of its own.
type process struct {
	*brokertest.Server // its Broker is nil
	cmd                *exec.Cmd
	orders             io.WriteCloser
	answers            *bufio.Reader
	log                *safeBuffer
	dir                string
}

// startProcess starts a node on the folder dir. Each change may alter the
// command first.
func startProcess(t testing.TB, dir string, change ...func(*exec.Cmd)) *process {
	t.Helper()
	p := launch(t, dir, change...)
	p.await(t)
	return p
}

// launch starts the process; await waits until it is a node.
func launch(t testing.TB, dir string, change ...func(*exec.Cmd)) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), log: &safeBuffer{}, dir: dir}
	p.cmd.Env = append(os.Environ(), nodeDir+"="+dir)
	p.cmd.Stderr = p.log
	for _, f := range change {
		f(p.cmd)
	}
	if p.orders, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start a node in a process of its own: %v", err)
	}
	t.Cleanup(p.kill)
	p.answers = bufio.NewReader(out)
	return p
}

func (p *process) await(t testing.TB) {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	line, err := p.answers.ReadString('\n')
	var w broker.Welcome
	if err != nil || json.Unmarshal([]byte(line), &w) != nil {
		p.kill()
		t.Fatalf("the node does not start: %v %s", err, p.log)
	}
	p.Server = &brokertest.Server{
		URL: w.URL, App: string(w.App), PublishableKey: w.PublishableKey, SecretKey: w.SecretKey, AccountToken: w.AccountToken, Data: p.dir,
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// stop ends the process as it should end.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.quit(); err != nil {
		t.Fatalf("stop the node: %v %s", err, p.log)
	}
}

func (p *process) quit() error {
	_ = p.orders.Close()
	return p.cmd.Wait()
}

// order has the process do something to its disk.
func (p *process) order(t testing.TB, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(p.orders, format+"\n", args...)
	if line, err := p.answers.ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("order "+format+": %q %v", append(args, line, err)...)
	}
}

// safeBuffer is a buffer that may be used concurrently.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
