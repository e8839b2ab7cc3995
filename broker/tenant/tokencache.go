package tenant

import "sync"

// cacheBytes bounds the tokens that are remembered, by their own length and
// the overhead of each.
const cacheBytes = 16 << 20

// tokenCache remembers verified tokens by their SHA-256, so that a client's
// next request costs no signature. It is bounded by bytes: of two generations
// the older is dropped when the younger is full. It is safe for concurrent use.
// Nothing in it is taken on trust: see verified.
type tokenCache struct {
	half int // bytes of one generation

	mu         sync.RWMutex
	young, old map[[32]byte]*verified
	bytes      int // of young
}

// cacheEntry is about what an entry takes beyond its grants.
const cacheEntry = 400

func newTokenCache(bytes int) *tokenCache {
	return &tokenCache{half: bytes / 2, young: make(map[[32]byte]*verified)}
}

func (c *tokenCache) get(sum [32]byte) (*verified, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.young[sum]
	if !ok {
		v, ok = c.old[sum]
	}
	return v, ok
}

// put remembers a token of n bytes.
func (c *tokenCache) put(sum [32]byte, v *verified, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[sum]; ok {
		return
	}
	// Parsed grants take about twice the room of their text in base 64.
	n = cacheEntry + 2*n
	if c.bytes+n > c.half {
		c.old, c.young, c.bytes = c.young, make(map[[32]byte]*verified), 0
	}
	c.young[sum] = v
	c.bytes += n
}
