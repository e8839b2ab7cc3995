// Command bench measures Fanfare and its peers in one run and writes
// docs/benchmarks.md: `make bench`.
//
// Each server is started for each measurement, kept to the same cores, loaded
// by `fanfare bench`, and stopped. The servers take turns (A B A B …), so that
// what the machine does meanwhile meets all of them. All of it is on loopback,
// and ends by itself: in about an hour, with --quick in a few minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// options are the command line.
type options struct {
	quick   bool
	rounds  int
	cpus    string
	only    string
	without string
	write   bool
	keep    string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "short measurements and one round, to see that all works; the figures are worth little")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured, in turn; the middle one counts")
	flag.StringVar(&o.cpus, "cpus", "0,1", "the cores that server and load share (taskset)")
	flag.StringVar(&o.only, "only", "", "only the measurements with these names, comma between them")
	flag.StringVar(&o.without, "without", "", "leave these servers out: nchan, centrifuge, floor")
	flag.BoolVar(&o.write, "write", false, "write docs/benchmarks.md also after a run with --quick or --only")
	flag.StringVar(&o.keep, "keep", "", "keep the reports (JSON) in this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	root, err := rootOf()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "fanfare-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	reports := work
	if o.keep != "" {
		if reports, err = filepath.Abs(o.keep); err != nil {
			return err
		}
		if err := os.MkdirAll(reports, 0o755); err != nil {
			return err
		}
	}
	without := strings.Split(o.without, ",")
	l := &lab{root: root, work: work, reports: reports, cpus: o.cpus, quick: o.quick}
	l.seeLoad()
	if err := l.build(ctx); err != nil {
		return err
	}
	if !slices.Contains(without, "nchan") {
		if err := l.needNginx(ctx); err != nil {
			return err
		}
	}
	rounds := o.rounds
	if o.quick {
		rounds = 1
	}
	s := newSuite(o.quick)
	if err := s.choose(o.only, without); err != nil {
		return err
	}
	if err := s.measure(ctx, l, rounds); err != nil {
		return err
	}
	m, err := readMachine(ctx, l, rounds, o)
	if err != nil {
		return err
	}
	text := s.markdown(m)
	fmt.Println(text)
	if !o.write && (o.quick || o.only != "") {
		fmt.Fprintln(os.Stderr, "bench: docs/benchmarks.md is left as it is, since this was no whole run (--write)")
		return nil
	}
	drawn, err := s.plot(ctx, l)
	if err != nil {
		return err
	}
	return replaceSection(filepath.Join(root, "docs", "benchmarks.md"), text+drawn)
}

// rootOf is the folder of the repository, seen from it or from bench/.
func rootOf() (string, error) {
	for _, dir := range []string{".", ".."} {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "fanfare", "main.go")); err == nil {
			return filepath.Abs(dir)
		}
	}
	return "", errors.New("run it in the repository: make bench")
}
