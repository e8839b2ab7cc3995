package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// suite is all measurements of a run, and what came of them.
type suite struct {
	tests   []*test
	without []string
}

// test is one measurement of several servers: a line of the table.
type test struct {
	name    string
	title   string
	args    []string
	servers []server
	value   func(*Report) (float64, bool)
	unit    string
	more    bool // more is better
	claims  []claim
	half    string // of this ladder's peer: the rate is half of what it held

	got     map[string][]float64 // by server
	reports map[string]string    // by server: the file of the last report
	failed  map[string]string    // by server: what a run missed
}

// claim is what we want to reach: ours at most (or, where more is better, at
// least) factor × theirs, which may be of another test (name@test). Without
// theirs the factor is the value itself.
type claim struct {
	ours, theirs string
	factor       float64
}

// The servers. ours keeps nothing, as the peers' plain ones do; durable is
// what Fanfare does by default, beside a peer that keeps history, too.
func ours() server {
	return server{name: plain, wire: "fanfare", args: []string{"--ephemeral"}}
}
func durable() server { return server{name: durably, wire: "fanfare"} }
func theirs() server  { return server{name: "centrifuge", wire: "centrifuge"} }
func kept() server {
	return server{name: history, wire: "centrifuge", run: []string{"--history"}}
}
func nchan() server { return server{name: "nchan", wire: "nchan"} }
func floor() server { return server{name: "floor", wire: "plain"} }

const (
	plain   = "fanfare, ephemeral"
	durably = "fanfare"
	history = "centrifuge, history"
)

func figure(name string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		if len(r.Runs) == 0 {
			return 0, false
		}
		v, ok := r.Runs[len(r.Runs)-1].Figures[name]
		return v, ok
	}
}

func summary(name string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) { v, ok := r.Summary[name]; return v, ok }
}

func quantile(name string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		if len(r.Runs) == 0 {
			return 0, false
		}
		v, ok := r.Runs[0].Latency[name]
		return v, ok
	}
}

func newSuite(quick bool) *suite {
	long, step, idle := "10s", "3s", []string{"10000", "20000"}
	if quick {
		long, step, idle = "2s", "1s", []string{"2000", "4000"}
	}
	all := []server{ours(), theirs(), nchan(), floor(), durable(), kept()}
	four := all[:4]
	timed := []string{"--duration", long}
	ladder := []string{"--ladder", "--duration", step, "--warm", "1s"}
	fanout := func(more ...string) []string { return append([]string{"fanout"}, more...) }
	s := &suite{tests: []*test{
		{
			name: "cpu", title: "CPU per delivered message: 1,000 subscribers × 40/s × 128 B", args: fanout(timed...), servers: all,
			value: figure("cpu_us_per_delivered"), unit: "µs", claims: []claim{{plain, "centrifuge", 0.65}, {plain, "nchan", 1.05}, {durably, history, 0.65}},
		}, {
			name: "cpu5000", title: "CPU per delivered message: 5,000 subscribers × 8/s × 128 B", args: append(fanout("--subscribers", "5000", "--rate", "8"), timed...), servers: four,
			value: figure("cpu_us_per_delivered"), unit: "µs",
		}, {
			name: "rate1000", title: "highest deliveries/s, p99 < 100 ms: 1,000 subscribers", args: fanout(ladder...), servers: all,
			value: summary("held_deliveries_per_second"), unit: "/s", more: true, claims: []claim{{plain, "centrifuge", 1.6}, {plain, "nchan", 1.5}},
		}, {
			name: "rate5000", title: "highest deliveries/s, p99 < 100 ms: 5,000 subscribers", args: append(fanout("--subscribers", "5000", "--rate", "8"), ladder...), servers: four,
			value: summary("held_deliveries_per_second"), unit: "/s", more: true, claims: []claim{{plain, "centrifuge", 1.6}, {plain, "nchan", 1.5}},
		}, {
			name: "half", title: "p99 at half of centrifuge's highest rate: 1,000 subscribers", args: fanout(timed...), servers: four, half: "rate1000",
			value: quantile("p99_us"), unit: "µs", claims: []claim{{plain, "centrifuge", 1}},
		}, {
			name: "channels", title: "CPU per publish and delivery: 5,000 channels × 1, REST, one by one", args: append([]string{"channels"}, timed...), servers: all,
			value: figure("cpu_us_per_message"), unit: "µs", claims: []claim{{plain, "centrifuge", 0.8}, {durably, history, 0.8}},
		}, {
			name: "batch", title: "CPU per publish and delivery: 5,000 channels × 1, REST, 50 a request", args: append([]string{"channels", "--batch", "50"}, timed...), servers: []server{ours(), theirs(), durable(), kept()},
			value: figure("cpu_us_per_message"), unit: "µs", claims: []claim{{plain, plain + "@channels", 0.5}},
		},
	}}
	for _, n := range idle {
		s.tests = append(s.tests, &test{
			name: "idle" + n, title: "memory per idle subscribed connection at " + thousands(n), args: []string{"idle", "--connections", n, "--duration", step}, servers: four,
			value: figure("rss_bytes_per_connection"), unit: "KiB", claims: []claim{{plain, "", 11}},
		})
	}
	s.tests = append(s.tests, &test{
		name: "connect", title: "CPU per connection: connect and subscribe", args: []string{"connect"}, servers: four,
		value: figure("cpu_us_per_connect"), unit: "µs",
	}, &test{
		name: "churn", title: "CPU per subscribe and unsubscribe", args: append([]string{"churn"}, timed...), servers: []server{ours(), theirs()},
		value: figure("cpu_us_per_pair"), unit: "µs",
	})
	s.tests = append(s.tests, ourOwn(long)...)
	for _, t := range s.tests {
		t.got, t.reports, t.failed = map[string][]float64{}, map[string]string{}, map[string]string{}
	}
	return s
}

// ourOwn are measurements of what the peers do not do, or not on disk.
func ourOwn(long string) []*test {
	single, batched := []string{"publish", "--batch", "1", "--duration", long}, []string{"publish", "--batch", "100", "--duration", long}
	only := []server{durable()}
	return []*test{
		{
			name: "publish", title: "durable publishes/s, each acknowledged, 64 connections", args: single, servers: only,
			value: figure("published_per_second"), unit: "/s", more: true, claims: []claim{{durably, "", 4000}},
		}, {
			name: "publishbatch", title: "durable publishes/s, 100 a request", args: batched, servers: only,
			value: figure("published_per_second"), unit: "/s", more: true, claims: []claim{{durably, "", 10_000}},
		}, {
			name: "publishp99", title: "a durable publish acknowledged, p99, 16 connections", args: append(single, "--connections", "16"), servers: only,
			value: quantile("p99_us"), unit: "µs", claims: []claim{{durably, "", 10_000}},
		}, {
			name: "resume", title: "resume of 100 missed messages, one client at a time, p50", args: []string{"resume", "--clients", "500", "--at-once", "1"}, servers: only,
			value: quantile("p50_us"), unit: "µs", claims: []claim{{durably, "", 5000}},
		}, {
			name: "resumeall", title: "5,000 clients resume 100 messages at once, until all are caught up", args: []string{"resume", "--clients", "5000"}, servers: only,
			value: figure("seconds"), unit: "s",
		}, {
			name: "resumememory", title: "the same, the server's memory at its peak", args: []string{"resume", "--clients", "5000"}, servers: only,
			value: figure("peak_rss_bytes"), unit: "MiB",
		},
	}
}

// choose leaves only the tests that are wanted, and no server that is not.
func (s *suite) choose(only string, without []string) error {
	s.without = without
	if only != "" {
		want := strings.Split(only, ",")
		for _, name := range want {
			if !slices.ContainsFunc(s.tests, func(t *test) bool { return t.name == name }) {
				return fmt.Errorf("there is no measurement %q", name)
			}
		}
		s.tests = slices.DeleteFunc(s.tests, func(t *test) bool { return !slices.Contains(want, t.name) })
	}
	for _, t := range s.tests {
		t.servers = slices.DeleteFunc(slices.Clone(t.servers), func(v server) bool {
			kind := v.wire
			if kind == "plain" {
				kind = "floor"
			}
			return slices.Contains(without, kind)
		})
	}
	return nil
}

// measure measures everything, the servers of a test in turn.
func (s *suite) measure(ctx context.Context, l *lab, rounds int) error {
	for _, t := range s.tests {
		args, err := s.argsOf(t)
		if err != nil {
			return err
		}
		for round := range rounds {
			for _, v := range t.servers {
				report, text, err := l.measure(ctx, v, args)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					return err
				}
				said := "failed: " + strings.Join(report.Failed, "; ")
				if x, ok := t.value(report); ok && report.OK {
					switch t.unit {
					case "KiB":
						x /= 1 << 10
					case "MiB":
						x /= 1 << 20
					}
					t.got[v.name] = append(t.got[v.name], x)
					said = format(x, t.unit)
					t.reports[v.name] = l.file(t.name, v.name, round)
				} else {
					t.failed[v.name] = strings.Join(report.Failed, "; ")
				}
				fmt.Fprintf(os.Stderr, "%-9s round %d of %d  %-20s %s\n", t.name, round+1, rounds, v.name, said)
				if err := os.WriteFile(l.file(t.name, v.name, round), text, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// argsOf is a test's command line, with the rate that an earlier test found.
func (s *suite) argsOf(t *test) ([]string, error) {
	if t.half == "" {
		return t.args, nil
	}
	held, ok := s.value(t.half, "centrifuge")
	if !ok {
		return append(slices.Clone(t.args), "--rate", "40"), nil
	}
	t.title += fmt.Sprintf(", %.0f/s", held/2/1000)
	return append(slices.Clone(t.args), "--rate", fmt.Sprintf("%.1f", held/2/1000)), nil
}

// value is the middle one of what a server got in a test.
func (s *suite) value(name, server string) (float64, bool) {
	for _, t := range s.tests {
		if t.name == name {
			return t.middle(server)
		}
	}
	return 0, false
}

func (t *test) middle(server string) (float64, bool) {
	list := slices.Sorted(slices.Values(t.got[server]))
	if len(list) == 0 {
		return 0, false
	}
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2, true
	}
	return list[len(list)/2], true
}
