//go:build !linux

package ws

import "errors"

// parking is not to be had on this system: each connection has a goroutine.
type parking struct{}

func newParking() (*parking, error) { return nil, errors.ErrUnsupported }

func (*parking) close()                           {}
func (*parking) park(*line, func()) bool          { return false }
func (*parking) unpark(*line, bool) (wake func()) { return nil }
