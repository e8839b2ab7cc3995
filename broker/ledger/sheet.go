package ledger

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Count is what was used in a period. The most connections at a time are those
// of the whole cluster; the rest adds up.
type Count struct {
	Messages  int64 `json:"m,omitempty"`
	Bytes     int64 `json:"b,omitempty"`
	Delivered int64 `json:"d,omitempty"`
	Refused   int64 `json:"r,omitempty"`
	Peak      int64 `json:"p,omitempty"`
}

func (c Count) plus(o Count) Count {
	return Count{c.Messages + o.Messages, c.Bytes + o.Bytes, c.Delivered + o.Delivered, c.Refused + o.Refused, max(c.Peak, o.Peak)}
}

func (c Count) minus(o Count) Count {
	return Count{c.Messages - o.Messages, c.Bytes - o.Bytes, c.Delivered - o.Delivered, c.Refused - o.Refused, c.Peak}
}

// sheet is what this process counted in one period, of a part of the apps and
// accounts. It alone writes that key of the bucket, each time as a whole: so a
// write that is made twice, or whose answer was lost, counts once.
type sheet struct {
	grain grain
	start time.Time
	part  int
	rows  map[string]Count // by app, or @account
	dirty bool
}

// parts is how many sheets the apps are spread over, so that none grows too
// large for one message.
const parts = 16

func partOf(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % parts)
}

// prefix is what the keys of a part's sheets begin with that are in the same
// group of periods as t.
func prefix(g grain, t time.Time, part int) string {
	return g.letter + "." + t.Format(g.group) + "." + strconv.Itoa(part)
}

// key is where the sheet of a process is kept.
func (s *sheet) key(process string) string {
	return prefix(s.grain, s.start, s.part) + "." + s.start.Format(s.grain.slot) + "." + process
}

// readKey is the period and the process of a key that key made.
func readKey(g grain, key string) (start time.Time, process string, err error) {
	p := strings.Split(key, ".")
	if len(p) != 5 || p[0] != g.letter {
		return start, "", fmt.Errorf("ledger: %q is no sheet's key", key)
	}
	start, err = time.Parse(g.group+g.slot, p[1]+p[3])
	return start, p[4], err
}

func (s *sheet) encode() ([]byte, error) { return json.Marshal(s.rows) }

// ttl is how long what is written now is kept.
func (s *sheet) ttl(now time.Time) time.Duration {
	if s.grain.keep == 0 {
		return 0
	}
	return max(s.grain.step(s.start, 1).Add(s.grain.keep).Sub(now), time.Second)
}
