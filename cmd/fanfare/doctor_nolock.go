//go:build !unix || solaris || illumos || aix

package main

import "errors"

// hasModes: nothing is said about the modes of files here.
const hasModes = false

// isLocked is not known on this system.
func isLocked(string) (bool, error) { return false, errors.ErrUnsupported }
