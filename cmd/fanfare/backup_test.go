package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBackupAndRestore(t *testing.T) {
	s := serve(t)
	s.ok(t, "app", "create", "shop")
	file := filepath.Join(t.TempDir(), "backup.tar")
	if out := s.ok(t, "backup", "--out", file); !strings.HasPrefix(out, file) {
		t.Errorf("it says %q", out)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v", info.Mode())
	}
	if others, err := os.ReadDir(filepath.Dir(file)); err != nil || len(others) != 1 {
		t.Errorf("beside it: %v %v", others, err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	if r := (shell{}).run(t, "restore", "--in", file, "--data", dir); r.status != 0 || !strings.Contains(r.out, dir) {
		t.Fatalf("restore: %+v", r)
	}
	again := serveIn(t, dir)
	if list := again.ok(t, "app", "list"); !strings.Contains(list, "shop") {
		t.Errorf("the app is gone: %s", list)
	}
	for _, args := range [][]string{
		{"restore", "--in", file, "--data", dir},
		{"restore", "--in", filepath.Join(dir, "demo.env"), "--data", filepath.Join(t.TempDir(), "x")},
		{"restore", "--in", "missing", "--data", filepath.Join(t.TempDir(), "x")},
	} {
		r := shell{}.run(t, args...)
		if r.status != 1 || !strings.Contains(r.stderr, "remedy: ") {
			t.Errorf("%v: %d %s", args, r.status, r.stderr)
		}
	}
	secret := readEnvFile(s.dir + "/demo.env").values["FANFARE_SECRET_KEY"]
	s.fails(t, 1, "[key_kind]", "backup", "--out", filepath.Join(t.TempDir(), "y"), "--account-token", secret)
}
