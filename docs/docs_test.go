// Package docs_test runs what the documents say.
package docs_test

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// TestReadmeLinesWork pastes README's lines for the second and the third
// terminal into two shells, beside a running node.
func TestReadmeLinesWork(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("README.md has %d blocks of shell, not 2: bring this test along", len(blocks))
	}
	listen, publish, ok := strings.Cut(blocks[1][1], "\n. fanfare-data")
	if !ok {
		t.Fatalf("README.md's lines do not read demo.env twice:\n%s", blocks[1][1])
	}
	s := brokertest.Start(t)
	data := strings.NewReplacer("fanfare-data", s.Data)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()

	listener := exec.CommandContext(ctx, "bash", "-c", data.Replace(listen)+" -s")
	out, err := listener.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = listener.Wait() // killed, as Ctrl+C would
	}()
	heard := bufio.NewScanner(out)
	wait := func(part string) {
		t.Helper()
		for heard.Scan() {
			if strings.Contains(heard.Text(), part) {
				return
			}
		}
		t.Fatalf("the first shell never shows %q: %v", part, heard.Err())
	}
	wait(`"type":"subscribed"`)
	said, err := exec.CommandContext(ctx, "bash", "-c", data.Replace(". fanfare-data"+publish)).Output()
	if err != nil || !strings.Contains(string(said), `"id"`) {
		t.Fatalf("the second shell says %q, %v", said, err)
	}
	wait(`"data":{"paid":true}`)
}

// TestLinksLead shows that each link to a file of this repository has one.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)|src="([^"]+)"`)
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			if err == nil && d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
				return fs.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(text), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			to := m[1] + m[3]
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d links found: this test does not see them", found)
	}
}
