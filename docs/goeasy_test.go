package docs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// TestFromGoEasy pastes the commands of the guide into a shell beside a node.
func TestFromGoEasy(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("guides/from-goeasy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	want := []string{"open door                goeasy", "BC-", `{"code":200,"content":"OK"}`, `"content":"paid"`}
	if len(blocks) != len(want) {
		t.Fatalf("the guide has %d blocks of shell, not %d: bring this test along", len(blocks), len(want))
	}
	s := brokertest.Start(t)
	dir := t.TempDir()
	if err := os.Symlink(s.Data, filepath.Join(dir, "fanfare-data")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin", "fanfare"), "../cmd/fanfare").CombinedOutput(); err != nil {
		t.Fatalf("build: %s", out)
	}
	for i, block := range blocks {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		sh := exec.CommandContext(ctx, "bash", "-ec", block[1])
		sh.Dir = dir
		sh.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
		out, err := sh.CombinedOutput()
		stop()
		if err != nil || !strings.Contains(string(out), want[i]) {
			t.Errorf("%s\nsays %s, %v, and not %s", block[1], out, err, want[i])
		}
	}
}
