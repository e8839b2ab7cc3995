package main

import (
	"context"

	"github.com/fanfarehq/fanfare/cmd/fanfare/bench"
)

// forBench is the console as the benchmarks, a package of their own, take it.
func (c *console) forBench() *bench.Console {
	return &bench.Console{
		Out: c.Out, Err: c.Err, Terminal: isTerminal(c.Err),
		From: func(flag string) string { return c.Settings.resolved[flag] },
		Ask: func(ctx context.Context, base, credential, method, path string, in, out any) error {
			r, err := newREST(base, credential)
			if err != nil {
				return err
			}
			return r.do(ctx, method, path, in, out)
		},
		WriteJSON:  func(v any) error { return writeJSON(c.Out, v) },
		WriteTable: c.writeTable,
	}
}
