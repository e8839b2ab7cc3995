package tenant

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// checkOrigin returns origin_not_allowed unless a page of that origin may use
// a key with the list allowed. No origin means no browser; no list, no limit.
func checkOrigin(allowed []string, origin string) error {
	if origin == "" || len(allowed) == 0 {
		return nil
	}
	if o, ok := normOrigin(origin); ok && !strings.Contains(o, "*") {
		if slices.Contains(allowed, o) {
			return nil
		}
		scheme, host, _ := strings.Cut(o, "://")
		if label, rest, _ := strings.Cut(host, "."); label != "" && slices.Contains(allowed, scheme+"://*."+rest) {
			return nil
		}
	}
	return protocol.Errorf(protocol.CodeOriginNotAllowed, "The key does not allow pages of the origin %q.", cut(origin, 200))
}

// cleanOrigin is an entry of a key's list in the form in which it is compared:
// an origin as browsers send it, "null", or one whose first label is "*".
func cleanOrigin(s string) (string, error) {
	o, ok := normOrigin(s)
	if !ok {
		return "", badRequest("The allowed origin %q is not valid: write it as https://app.example.com, with a port where there is one and without a path.", cut(s, 200))
	}
	if _, host, _ := strings.Cut(o, "://"); strings.Contains(host, "*") {
		rest, ok := strings.CutPrefix(host, "*.")
		name, _, _ := strings.Cut(rest, ":")
		if !ok || strings.Contains(rest, "*") || name != "localhost" && !strings.Contains(strings.Trim(name, "."), ".") {
			return "", badRequest("The allowed origin %q is not valid: * stands for the first label alone, as in https://*.example.com.", cut(s, 200))
		}
	}
	return o, nil
}

// normOrigin is s in small letters and without a port that is the scheme's own,
// as browsers serialise origins (RFC 6454, section 6.2; only ASCII).
func normOrigin(s string) (string, bool) {
	if s == "null" {
		return s, true
	}
	scheme, host, ok := strings.Cut(strings.ToLower(s), "://")
	if !ok || host == "" || len(s) > 300 {
		return "", false
	}
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]*", rune(c)) {
			return "", false
		}
	}
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Scheme != scheme || u.Host != host || u.Hostname() == "" || strings.HasSuffix(host, ":") {
		return "", false
	}
	if port := u.Port(); scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return scheme + "://" + host, true
}

// cut is at most n bytes of s, for messages.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
