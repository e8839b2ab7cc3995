package bus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// The subject of an ephemeral packet is e.<bucket>.<app>.<channel>; a durable
// one has i.<shard>. or d.<shard>. in place of e. (shard.go). The last token is
// made from the channel's name:
//
//   - bytes A-Z a-z 0-9 _ - stand for themselves, every other byte is =XX in
//     upper-case hex;
//   - where that is longer than maxToken, it is ~ and 20 bytes of the name's
//     SHA-256 in base64url; ~ never begins a token of the first kind. The name
//     is then read from the packet's body and compared with the hash.
//
// Two names never share a subject, and no token has a wildcard, dot, space or
// control character in it, whatever the name.
const (
	ephemeralPrefix = "e."
	everyEphemeral  = "e.>"

	maxToken  = 120 // bytes; a longer subject would end the whole connection
	hashMark  = '~'
	hashBytes = 20
	maxApp    = 64
	upperHex  = "0123456789ABCDEF"
	escapedAs = 3 // bytes of =XX
)

var errSubject = errors.New("not a subject of this server")

// subjectOf is the subject of a channel under prefix. The app must be 1 to 64 characters of
// A-Z a-z 0-9 _ -, the channel any name but the empty one.
func subjectOf(prefix string, app protocol.AppID, ch protocol.Channel) (string, error) {
	if !validApp(string(app)) {
		return "", fmt.Errorf("app id %q cannot be part of a subject", string(app))
	}
	if ch == "" {
		return "", protocol.NewError(protocol.CodeChannelInvalid)
	}
	b := make([]byte, 0, 128)
	b = append(b, prefix...)
	n := bucketOf(app, ch)
	b = append(b, "0123456789abcdef"[n>>4], "0123456789abcdef"[n&15], '.')
	b = append(b, app...)
	b = append(b, '.')
	return string(appendToken(b, string(ch))), nil
}

// parseSubject reads back what subjectOf wrote. Of a hashed channel it returns
// the token, with hashed set; channelIn then finds the name.
func parseSubject(prefix, subject string) (app protocol.AppID, token string, hashed bool, err error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok || len(rest) < 3 || rest[2] != '.' {
		return "", "", false, errSubject
	}
	name, token, ok := strings.Cut(rest[3:], ".")
	if !ok || !validApp(name) || token == "" || strings.IndexByte(token, '.') >= 0 {
		return "", "", false, errSubject
	}
	return protocol.AppID(name), token, token[0] == hashMark, nil
}

// channelOf is the channel of a received packet, from its subject's token and,
// for a hashed token, from its body. Anything that subjectOf would not have
// written is an error.
func channelOf(token string, hashed bool, body []byte) (protocol.Channel, error) {
	if !hashed {
		return unescape(token)
	}
	var named struct {
		Channel protocol.Channel `json:"channel"`
	}
	if err := json.Unmarshal(body, &named); err != nil {
		return "", errors.New("the body does not name its channel")
	}
	if string(appendToken(nil, string(named.Channel))) != token {
		return "", errors.New("the body names another channel than the subject")
	}
	return named.Channel, nil
}

// bucketOf spreads channels over 256 buckets (FNV-1a), by which a node may one
// day take a part of the feed only.
func bucketOf(app protocol.AppID, ch protocol.Channel) byte {
	h := uint32(2166136261)
	for i := range len(app) {
		h = (h ^ uint32(app[i])) * 16777619
	}
	h *= 16777619 // a zero byte between the two
	for i := range len(ch) {
		h = (h ^ uint32(ch[i])) * 16777619
	}
	return byte(h ^ h>>8 ^ h>>16 ^ h>>24)
}

func appendToken(b []byte, name string) []byte {
	start := len(b)
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', upperHex[c>>4], upperHex[c&15])
		}
		if len(b)-start > maxToken {
			sum := sha256.Sum256([]byte(name))
			b = append(b[:start], hashMark)
			return base64.RawURLEncoding.AppendEncode(b, sum[:hashBytes])
		}
	}
	return b
}

// unescape takes only what appendToken writes: one spelling per name.
func unescape(token string) (protocol.Channel, error) {
	if token == "" || len(token) > maxToken {
		return "", errSubject
	}
	if strings.IndexByte(token, '=') < 0 {
		for i := range len(token) {
			if !plain(token[i]) {
				return "", errSubject
			}
		}
		return protocol.Channel(token), nil
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '=' {
			if i+escapedAs > len(token) {
				return "", errSubject
			}
			hi, lo := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
			if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
				return "", errSubject
			}
			c, i = byte(hi<<4|lo), i+escapedAs-1
		} else if !plain(c) {
			return "", errSubject
		}
		b = append(b, c)
	}
	return protocol.Channel(b), nil
}

func validApp(s string) bool {
	if s == "" || len(s) > maxApp {
		return false
	}
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return true
}

// plain reports the bytes that stand for themselves in a token.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
