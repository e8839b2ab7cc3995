package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestClusterSettings holds each wrong setting of a cluster against what a
// person is told.
func TestClusterSettings(t *testing.T) {
	const three = "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"
	secret := "FANFARE_CLUSTER_SECRET=" + strings.Repeat("s", 32)
	dir := filepath.Join(t.TempDir(), "data")
	serve := func(more ...string) []string {
		return append([]string{"serve", "--listen", "127.0.0.1:0", "--data", dir}, more...)
	}
	member := func(more ...string) []string {
		return serve(append([]string{"--cluster", "c", "--node", "n1", "--cluster-listen", "127.0.0.1:7001"}, more...)...)
	}
	for _, ex := range []struct {
		want string
		env  []string
		args []string
	}{
		{"needs a secret", nil, member("--routes", three)},
		{"given as a flag", nil, member("--routes", three, "--cluster-secret", strings.Repeat("s", 32))},
		{"has 5 characters and needs 16", []string{"FANFARE_CLUSTER_SECRET=short"}, member("--routes", three)},
		{"the setting routes is for a cluster", nil, serve("--routes", three)},
		{"a cluster of 1, and the least is 3", []string{secret}, member()},
		{"a cluster of 2, and the least is 3", []string{secret}, member("--routes", "127.0.0.1:7002")},
		{"the most is 5", []string{secret}, member("--routes", three+",10.0.0.1:1,10.0.0.1:2,10.0.0.1:3")},
		{"does not belong there", []string{secret}, member("--routes", "nats://me:secret@127.0.0.1:7002")},
		{"needs a host and a port", []string{secret}, member("--routes", "127.0.0.1,b:1,c:1")},
		{`the cluster's name "a b" is not valid`, []string{secret}, serve("--cluster", "a b", "--node", "n1", "--routes", three)},
		{`the node's name "n 1" is not valid`, []string{secret}, serve("--cluster", "c", "--node", "n 1", "--routes", three)},
		{"exclude each other", []string{secret}, serve("--nats-url", "nats://127.0.0.1:4222", "--node", "n1", "--routes", three)},
	} {
		r := shell{env: ex.env}.run(t, ex.args...)
		if r.status == 0 || !strings.Contains(r.stderr, ex.want) {
			t.Errorf("%v: status %d, %s; want %q", ex.args[5:], r.status, r.stderr, ex.want)
		}
		if strings.Contains(r.stderr, "me:secret") {
			t.Errorf("the secret is shown: %s", r.stderr)
		}
	}
}

// TestClusterRefusesOtherFolders: what belongs to a single server is not given
// to a cluster, which would delete it, nor the other way round.
func TestClusterRefusesOtherFolders(t *testing.T) {
	s := serve(t)
	s.stop()
	cluster := shell{env: []string{"FANFARE_CLUSTER_SECRET=" + strings.Repeat("s", 32)}}
	cluster.fails(t, 1, "restore that with fanfare restore --cluster", "serve", "--listen", "127.0.0.1:0", "--data", s.dir, "--cluster", "c", "--node", "n1",
		"--cluster-listen", "127.0.0.1:7001", "--routes", "127.0.0.1:7002,127.0.0.1:7003")
	for mode, args := range map[string][]string{
		"start it as that": nil,
		"another node":     {"--cluster", "c", "--node", "n2", "--cluster-listen", "127.0.0.1:7001", "--routes", "127.0.0.1:7002,127.0.0.1:7003"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		write(t, filepath.Join(dir, "mode"), "cluster c, node n1\n")
		sh := cluster
		if args == nil {
			sh = shell{}
		}
		sh.fails(t, 1, mode, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", dir}, args...)...)
	}
}
