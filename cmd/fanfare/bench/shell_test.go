package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/fanfarehq/fanfare/broker/brokertest"
	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
)

// shell runs `fanfare bench` as the program does.
type shell struct {
	out, err bytes.Buffer
	stderr   io.Writer // instead of err
	terminal bool
	resolved map[string]string
}

func (s *shell) run(ctx context.Context, args ...string) error {
	con := &bench.Console{
		Out: &s.out, Err: &s.err, Terminal: s.terminal,
		From: func(flag string) string { return s.resolved[flag] },
		Ask:  ask,
		WriteJSON: func(v any) error {
			e := json.NewEncoder(&s.out)
			return e.Encode(v)
		},
		WriteTable: func(head []string, rows [][]string) error {
			for _, row := range append([][]string{head}, rows...) {
				fmt.Fprintln(&s.out, strings.Join(row, " | "))
			}
			return nil
		},
	}
	if s.stderr != nil {
		con.Err = s.stderr
	}
	var cmd bench.Cmd
	k, err := kong.New(&cmd, kong.Name("bench"), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(con), kong.Writers(&s.out, &s.err))
	if err != nil {
		return err
	}
	c, err := k.Parse(args)
	if err != nil {
		return err
	}
	return c.Run()
}

func ask(ctx context.Context, base, credential, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+credential)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// report is the JSON of a run.
type report struct {
	Bench  string
	Wire   string
	Load   map[string]float64
	OK     bool
	Failed []string
	Runs   []struct {
		Name    string
		Figures map[string]float64
		Latency map[string]float64
		Failed  []string
	}
	Summary map[string]float64
}

// measure runs a benchmark against a node, with its account token, and wants
// it to succeed.
func measure(t *testing.T, s *brokertest.Server, args ...string) report {
	t.Helper()
	sh := &shell{}
	args = append(args, "--url", s.URL, "--account-token", s.AccountToken, "--pid", strconv.Itoa(os.Getpid()), "--json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := sh.run(ctx, args...); err != nil {
		t.Fatalf("bench %s: %v\n%s%s", strings.Join(args, " "), err, sh.out.String(), sh.err.String())
	}
	var r report
	if err := json.Unmarshal(sh.out.Bytes(), &r); err != nil {
		t.Fatalf("the report is no JSON: %v\n%s", err, sh.out.String())
	}
	if !r.OK || len(r.Failed) > 0 || len(r.Runs) == 0 {
		t.Fatalf("the run is not OK: %s", sh.out.String())
	}
	return r
}

// figures wants each figure of a run to be there and to be more than 0.
func figures(t *testing.T, r report, names ...string) {
	t.Helper()
	for _, run := range r.Runs {
		for _, name := range names {
			if run.Figures[name] <= 0 {
				t.Errorf("%s %s: the figure %s is %v", r.Bench, run.Name, name, run.Figures[name])
			}
		}
	}
}

// latencies wants a run's quantiles to grow and to count n messages.
func latencies(t *testing.T, l map[string]float64, n float64) {
	t.Helper()
	last := 0.0
	for _, name := range []string{"p50_us", "p90_us", "p99_us", "p999_us", "max_us"} {
		if l[name] < last || l[name] <= 0 {
			t.Errorf("%s is %v, less than the one before", name, l[name])
		}
		last = l[name]
	}
	if n > 0 && l["count"] != n {
		t.Errorf("%v latencies were counted, want %v", l["count"], n)
	}
}
