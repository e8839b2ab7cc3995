package broker_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDiskFullWhileRunning fills the disk under a running node three times: by
// what is published, by somebody else as far as the reserve, and by somebody
// else to the last byte. Nothing is restarted.
func TestDiskFullWhileRunning(t *testing.T) {
	disk := t.TempDir()
	p := startProcess(t, filepath.Join(disk, "data"), onSmallDisk(disk, "64m"))
	setRules(t, p.Server, keepMuch)
	c := newTail(t, "much:1", "none:1", "s:1")
	c.overWS(p.Server)

	want := map[string]int{}
	good := func(ch string, data string) bool {
		t.Helper()
		status, body := post(t, p.Server, "/v1/messages", p.SecretKey, fmt.Sprintf(`{"channel":%q,"data":%s}`, ch, data))
		switch {
		case status == http.StatusOK:
			want[ch]++
			return true
		case status != http.StatusInsufficientStorage || !strings.Contains(body, `"disk_full"`) || !strings.Contains(body, `"remedy":"Free space`):
			t.Fatalf("publish to %s: %d %s\n%s", ch, status, body, p.log)
		}
		return false
	}
	big := `"` + strings.Repeat("x", 60_000) + `"`
	for round, how := range []string{"by publishes", "to the reserve", "to the last byte"} {
		switch round {
		case 0:
			for n := 0; good("much:1", big); n++ {
				if n == 2000 {
					t.Fatal("120 MB went to a disk of 64")
				}
			}
			p.order(t, "fill %d", 16<<20) // a small message does not fit either
		case 1:
			p.order(t, "fill %d", 10<<20)
		case 2:
			p.order(t, "fill 0")
		}
		for _, ch := range []string{"much:1", "s:1"} {
			if good(ch, `"no room"`) {
				t.Errorf("%s: a message was stored on %s", how, ch)
			}
		}
		if !good("none:1", `"ephemeral"`) {
			t.Errorf("%s: an ephemeral message was refused", how)
		}
		eventually(t, "all has come while the disk is full "+how, func() bool { return c.count() == want["much:1"]+want["none:1"]+want["s:1"] })
		newTail(t, "s:1").overWS(p.Server) // who comes now is let in

		if round == 0 { // the messages themselves have to go
			if status, body := call(t, p.Server, http.MethodDelete, "/v1/messages?channel=much:1", p.SecretKey, ""); status != http.StatusNoContent {
				t.Fatalf("forget: %d %s", status, body)
			}
		}
		p.order(t, "free")
		for _, ch := range []string{"much:1", "s:1"} {
			eventually(t, "a publish to "+ch+" works again", func() bool { return good(ch, `"room again"`) })
		}
		eventually(t, "all has come after the disk was full "+how, func() bool { return c.count() == want["much:1"]+want["none:1"]+want["s:1"] })
		if status, body := call(t, p.Server, http.MethodGet, "/readyz", "", ""); status != http.StatusOK {
			t.Errorf("%s: not ready: %d %s", how, status, body)
		}
	}
	for _, ch := range c.channels {
		if ch != "none:1" {
			rising(t, ch, c.of(ch))
		}
	}
}

// TestDamagedBlock flips bytes in the files of a stopped node's messages: it
// starts, says in its log what it lost, and what comes then is well.
func TestDamagedBlock(t *testing.T) {
	for _, c := range []struct {
		name, part string
		stop       func(*process, *testing.T)
	}{
		{"stopped, the middle", "the middle", (*process).stop},
		{"stopped, the end", "the end", (*process).stop},
		{"killed, the middle", "the middle", killMarked},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := startProcess(t, dir)
			setRules(t, s.Server, keepMuch)
			const n = 200
			for i := range n {
				publish(t, s.Server, "much:1", fmt.Sprintf(`"%d %s"`, i, strings.Repeat("x", 1000)))
			}
			before := history(t, s.Server, "much:1")
			c.stop(s, t)
			damage(t, dir, c.part)

			s = startProcess(t, dir)
			after := history(t, s.Server, "much:1")
			rising(t, "history", after)
			if len(after) >= n {
				t.Fatalf("nothing is lost: the test damages nothing")
			}
			if !strings.Contains(s.log.String(), "lost") {
				t.Errorf("%d messages are lost and the log does not say so:\n%s", n-len(after), s.log)
			}
			for _, f := range after { // what is there is what was sent
				if strings.Contains(string(f.Data), "the last one") {
					continue
				}
				if i := slices.IndexFunc(before, func(b frame) bool { return b.ID == f.ID }); i < 0 || string(before[i].Data) != string(f.Data) {
					t.Fatalf("a message that nobody sent: %.100s", f.raw)
				}
			}
			var late *tail
			for _, f := range []frame{before[n/4], before[n-1]} {
				late = newTail(t, "much:1")
				late.pos["much:1"], late.at = *f.Position, f.Time
				late.overWS(s.Server)
				if late.recovered() || late.told[0].Reason != "epoch" {
					t.Errorf("a client at %s is told: %s", *f.Position, late.told[0].raw)
				}
			}
			t.Logf("%d of %d messages are left", len(after), n)
			publish(t, s.Server, "much:1", `"later"`)
			eventually(t, "what comes later is delivered", func() bool {
				got := late.of("much:1")
				return len(got) > 0 && string(got[len(got)-1].Data) == `"later"`
			})
			if kept := history(t, s.Server, "much:1"); string(kept[len(kept)-1].Data) != `"later"` {
				t.Errorf("the last of history is %.200s", kept[len(kept)-1].raw)
			}
		})
	}
}

// killMarked kills a node that has had the time to note how far it is.
func killMarked(p *process, t *testing.T) {
	lives := filepath.Join(p.Data, "lives")
	before, err := os.ReadFile(lives)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, p.Server, "much:1", `"the last one"`)
	eventually(t, "the node notes how far it is", func() bool {
		now, err := os.ReadFile(lives)
		return err == nil && string(now) != string(before)
	})
	p.kill()
}

// damage flips bytes of the largest block of messages below dir.
func damage(t *testing.T, dir, part string) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "nats", "jetstream", "$G", "streams", "Hl*", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	largest, size := "", int64(0)
	for _, name := range blocks {
		if info, err := os.Stat(name); err == nil && info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := size / 2
	if part == "the end" {
		at = size - 300
	}
	b := make([]byte, 16)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
