package qrlogin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

// keyed is the HMAC-SHA-256 of a value for one purpose and this site. It hides
// values that are short enough to be guessed from whoever reads the store: user
// codes and digits. The key is Options.Pepper.
func (s *Server) keyed(purpose, value string) Hash {
	mac := hmac.New(sha256.New, s.o.Pepper)
	for _, part := range []string{purpose, s.o.Tenant, value} {
		_, _ = mac.Write([]byte(part)) // a hash does not fail
		_, _ = mac.Write([]byte{0})
	}
	return Hash(mac.Sum(nil))
}

// codeLetters are RFC 8628's (6.1): no vowels, so no words; none that look
// alike.
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// newUserCode is eight of codeLetters, 34.5 bits: enough for a few tries by
// people who are signed in, not for more.
func newUserCode() string {
	code := pick(codeLetters, 8)
	return code[:4] + "-" + code[4:]
}

// plainCode is a user code as the server compares it: what people type may have
// spaces, a dash of any kind, small letters. It is "" where it cannot be one.
func plainCode(typed string) string {
	code := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t-‐‑‒–—_.", r) {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(typed)))
	if len(code) != 8 || strings.Trim(code, codeLetters) != "" {
		return ""
	}
	return code
}

// newDigits is n random digits.
func newDigits(n int) string { return pick("0123456789", n) }

// pick is n of letters, each as likely as the others.
func pick(letters string, n int) string {
	fair := 256 - 256%len(letters) // bytes from there on would favour the first letters
	out := make([]byte, 0, n)
	for buf := make([]byte, 2*n); len(out) < n; {
		_, _ = rand.Read(buf) // it does not fail (crypto/rand, since Go 1.24)
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, letters[int(b)%len(letters)])
			}
		}
	}
	return string(out)
}

// userCodeHash is how the store finds a user code.
func (s *Server) userCodeHash(plain string) Hash { return s.keyed("user code", plain) }

// checkHash is the hash of the digits for one attempt.
func (s *Server) checkHash(attempt, digits string) Hash { return s.keyed("digits "+attempt, digits) }
