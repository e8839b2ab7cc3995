package tenant

import "testing"

// The memory of tokens is bounded by their bytes, drops the oldest, and never
// mixes tokens up. Its bound cannot be seen from outside, hence a test inside.
func TestTokenCacheIsBounded(t *testing.T) {
	const tokenBytes, tokens = 300, 1000
	c := newTokenCache(100 * (cacheEntry + 2*tokenBytes)) // room for 100
	made := make([]*verified, tokens)
	sum := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8)} }
	for i := range made {
		made[i] = &verified{}
		c.put(sum(i), made[i], tokenBytes)
		c.put(sum(i), made[i], tokenBytes) // counts once
		if v, ok := c.get(sum(i)); !ok || v != made[i] {
			t.Fatalf("token %d is not remembered", i)
		}
		if n := len(c.young) + len(c.old); n > 100 {
			t.Fatalf("%d tokens are remembered, 100 is the most", n)
		}
	}
	for i := range made {
		v, ok := c.get(sum(i))
		if ok && v != made[i] {
			t.Errorf("token %d is another's", i)
		}
		if old := i < tokens-100; ok && old || !ok && i >= tokens-50 {
			t.Errorf("token %d of %d: remembered is %v", i, tokens, ok)
		}
	}
}
