package bench

import (
	"testing"

	"pgregory.net/rapid"
)

// TestLadderFinds: whatever a server can, the ladder comes near it, and in few
// steps.
func TestLadderFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		can := rapid.Float64Range(2, 10_000).Draw(t, "can")
		l := ladder{rate: rapid.Float64Range(1, 4000).Draw(t, "start"), least: 1, most: 16}
		for l.next(l.rate <= can) {
			if l.rate <= l.held || l.failed > 0 && l.rate >= l.failed {
				t.Fatalf("%v is tried, with %v held and %v not", l.rate, l.held, l.failed)
			}
		}
		if l.held > can || l.steps > l.most {
			t.Fatalf("%v was held of %v, after %d steps", l.held, can, l.steps)
		}
		if l.steps < l.most && l.held*ladderClose < can {
			t.Fatalf("only %v was held of %v, after %d steps", l.held, can, l.steps)
		}
	})
}

func TestLadderOfNothing(t *testing.T) {
	l := ladder{rate: 40, least: 1, most: 16}
	for l.next(false) {
	}
	if l.held != 0 || l.steps != 6 || l.steps > l.most {
		t.Errorf("%v held after %d steps", l.held, l.steps)
	}
}
