package stats

import "sync/atomic"

// Quotas are what an account may use in all, of the whole cluster; 0 is no
// end. Messages and bytes are those of a calendar month, in UTC.
type Quotas struct {
	Connections int64 `json:"connections,omitempty" minimum:"0" doc:"Most connections at a time, of all apps; 0: no end"`
	Messages    int64 `json:"messages,omitempty" minimum:"0" doc:"Messages published in a month (UTC), of all apps; 0: no end"`
	Bytes       int64 `json:"bytes,omitempty" minimum:"0" doc:"Bytes of data published in a month (UTC), of all apps; 0: no end"`
	Stored      int64 `json:"stored,omitempty" minimum:"0" doc:"Messages kept as history, of all apps; looked at once a minute; 0: no end"`
}

// Use is how much of one of its quotas an account has used.
type Use struct {
	Quota string `json:"quota" enum:"connections,messages,bytes,stored" doc:"Which one"`
	Used  int64  `json:"used" doc:"What is used: of the month, or now"`
	Most  int64  `json:"most" doc:"The quota"`
}

// Percent is the part that is used.
func (u Use) Percent() int64 { return int64(float64(u.Used) / float64(u.Most) * 100) }

// quota is an account's part of its meter.
type quota struct {
	most atomic.Pointer[Quotas]
	note atomic.Pointer[string]
}

// SetQuotas says what an account may use from now on.
func (m *Meter) SetQuotas(q Quotas) { m.quota.most.Store(&q) }

// Month is what the account published this month, of the whole cluster.
func (m *Meter) Month() (messages, bytes int64) {
	return m.MonthMessages.Load() + m.Messages.Load(), m.MonthBytes.Load() + m.Bytes.Load()
}

// Uses are the quotas that the account has, and what is used of them.
func (m *Meter) Uses() []Use {
	q := m.quota.most.Load()
	if q == nil || *q == (Quotas{}) {
		return nil
	}
	messages, bytes := m.Month()
	all := []Use{
		{"connections", m.Connections.Load() + m.Elsewhere.Load(), q.Connections},
		{"messages", messages, q.Messages}, {"bytes", bytes, q.Bytes}, {"stored", m.Stored.Load(), q.Stored},
	}
	has := all[:0]
	for _, u := range all {
		if u.Most > 0 {
			has = append(has, u)
		}
	}
	return has
}

// Exceeds is the quota that n more messages of an app would go beyond, if any.
// Those that are under way are not counted yet.
func (m *Meter) Exceeds(n int64) (Use, bool) {
	up := m.up.Load()
	if up == nil {
		return Use{}, false
	}
	q := up.quota.most.Load()
	if q == nil || *q == (Quotas{}) {
		return Use{}, false
	}
	messages, bytes := up.Month()
	switch stored := up.Stored.Load(); {
	case q.Messages > 0 && messages+n > q.Messages:
		return Use{"messages", messages, q.Messages}, true
	case q.Bytes > 0 && bytes >= q.Bytes:
		return Use{"bytes", bytes, q.Bytes}, true
	case q.Stored > 0 && stored >= q.Stored:
		return Use{"stored", stored, q.Stored}, true
	}
	return Use{}, false
}

// Crowded is the quota of connections that an app's account is beyond, if it
// is.
func (m *Meter) Crowded() (Use, bool) {
	up := m.up.Load()
	if up == nil {
		return Use{}, false
	}
	q := up.quota.most.Load()
	if q == nil || q.Connections == 0 {
		return Use{}, false
	}
	all := up.Connections.Load() + up.Elsewhere.Load()
	return Use{"connections", all, q.Connections}, all > q.Connections
}

// Warn sets what publishers of the account's apps are told of its quotas; ""
// for nothing.
func (m *Meter) Warn(note string) { m.quota.note.Store(&note) }

// Warning is what Warn set for the app's account.
func (m *Meter) Warning() string {
	if up := m.up.Load(); up != nil {
		if note := up.quota.note.Load(); note != nil {
			return *note
		}
	}
	return ""
}
