package fanfare_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing that a test starts outlives all tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
