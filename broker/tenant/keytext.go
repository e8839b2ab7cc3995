package tenant

import (
	"crypto/rand"
	"hash/crc32"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// A key's text is its kind's prefix, 10 characters that name it, 32 that are
// secret and 6 that are a checksum (PROTOCOL.md, clause 8.1). The checksum is
// the CRC-32 (IEEE) of all before it, in base 62: it finds every single wrong
// character, so that a mistyped key is told from an unknown one without asking
// anybody, and a secret scanner takes no other text for a key.
const (
	idLen       = 14 // prefix and name: the key's id
	checksumLen = 6
	keyLen      = idLen + 32 + checksumLen
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The prefixes of what is not a key: its kind is seen from its text, too.
const (
	prefixTicket  = "fft_"
	prefixLink    = "ffl_"
	prefixSession = "ffd_"
)

// prefixOf is what the texts of a kind of key begin with; "" for other kinds.
func prefixOf(k Kind) string {
	switch k {
	case KindPublishable:
		return "ffp_"
	case KindSecret:
		return "ffs_"
	case KindAccount:
		return "ffa_"
	}
	return ""
}

// newKeyText makes the text of a new key of kind k.
func newKeyText(k Kind) string {
	text := prefixOf(k) + random(idLen-4+32, base62)
	sum := checksum(text)
	return text + string(sum[:])
}

// parseKey takes a key's text apart; the error is key_invalid and says that
// nothing was looked up.
func parseKey(text string) (id string, err error) {
	if !looksLikeKey(text) {
		return "", protocol.Errorf(protocol.CodeKeyInvalid, "This is no key: keys begin with ffp_, ffs_ or ffa_. It was not looked up.")
	}
	if len(text) != keyLen {
		return "", protocol.Errorf(protocol.CodeKeyInvalid, "The key has %d characters instead of %d: it is cut off or mistyped. It was not looked up.", len(text), keyLen)
	}
	for i := 4; i < keyLen-checksumLen; i++ {
		if !isBase62(text[i]) {
			return "", protocol.Errorf(protocol.CodeKeyInvalid, "The key has a character that is not 0-9, A-Z or a-z: it is mistyped. It was not looked up.")
		}
	}
	if sum := checksum(text[:keyLen-checksumLen]); string(sum[:]) != text[keyLen-checksumLen:] {
		return "", protocol.Errorf(protocol.CodeKeyInvalid, "The key's checksum does not match: it is cut off or mistyped. It was not looked up.")
	}
	return text[:idLen], nil
}

// looksLikeKey reports whether text begins like a key.
func looksLikeKey(text string) bool {
	return strings.HasPrefix(text, "ffp_") || strings.HasPrefix(text, "ffs_") || strings.HasPrefix(text, "ffa_")
}

func isBase62(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// checksum is the CRC-32 of text as 6 digits of base 62. It goes by the table
// because crc32.ChecksumIEEE would have a copy of text on the heap, and this is
// done at each request.
func checksum(text string) (b [checksumLen]byte) {
	sum := ^uint32(0)
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	sum = ^sum
	for i := range b {
		b[checksumLen-1-i] = base62[sum%62]
		sum /= 62
	}
	return b
}

// newID makes an account's or app's id: 10 characters of a-z and 0-9.
func newID() string {
	return random(10, base62[:10]+base62[36:])
}

// random is n characters of alphabet, each as likely as any other.
func random(n int, alphabet string) string {
	out := make([]byte, 0, n)
	fair := 256 - 256%len(alphabet) // bytes from here on would favour some characters
	var b [64]byte
	for {
		rand.Read(b[:]) // never fails
		for _, c := range b {
			if int(c) < fair {
				if out = append(out, alphabet[int(c)%len(alphabet)]); len(out) == n {
					return string(out)
				}
			}
		}
	}
}
