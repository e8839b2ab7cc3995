//go:build !linux

package broker_test

import (
	"errors"
	"os/exec"
)

func mountSmall(string, string) error            { return errors.ErrUnsupported }
func onSmallDisk(string, string) func(*exec.Cmd) { return func(*exec.Cmd) {} }
func ballast(dir string) string                  { return dir }
func fill(string, int64) error                   { return errors.ErrUnsupported }
