package tenant

import "github.com/fanfarehq/fanfare/sdk/protocol"

// Limits are what one app may use, of the whole cluster. In input 0 is the default, and
// what is more than the most, or negative, is refused.
type Limits struct {
	Connections           int `json:"connections,omitempty" minimum:"0" maximum:"10000000" doc:"Most connections at a time; 0 is the default, 100000"`
	ChannelsPerConnection int `json:"channels_per_connection,omitempty" minimum:"0" maximum:"100000" doc:"Most channels of one connection; 0 is the default, 1000"`
	MessageBytes          int `json:"message_bytes,omitempty" minimum:"0" maximum:"1000000" doc:"Most bytes of a message's data; 0 is the default, 65536"`
	PublishPerSecond      int `json:"publish_per_second,omitempty" minimum:"0" maximum:"1000000" doc:"Messages per second, and the most at once; 0 is the default, 5000"`
	SubscribePerSecond    int `json:"subscribe_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Subscribes per second of one connection; 0 is the default, 100"`
}

// LimitsPatch changes some of an app's limits: nil leaves one as it is, 0 sets
// the default.
type LimitsPatch struct {
	Connections           *int `json:"connections,omitempty" minimum:"0" maximum:"10000000" doc:"Most connections at a time; 0 is the default, 100000"`
	ChannelsPerConnection *int `json:"channels_per_connection,omitempty" minimum:"0" maximum:"100000" doc:"Most channels of one connection; 0 is the default, 1000"`
	MessageBytes          *int `json:"message_bytes,omitempty" minimum:"0" maximum:"1000000" doc:"Most bytes of a message's data; 0 is the default, 65536"`
	PublishPerSecond      *int `json:"publish_per_second,omitempty" minimum:"0" maximum:"1000000" doc:"Messages per second, and the most at once; 0 is the default, 5000"`
	SubscribePerSecond    *int `json:"subscribe_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Subscribes per second of one connection; 0 is the default, 100"`
}

// DefaultLimits are the limits of an app that was given none.
func DefaultLimits() Limits {
	return Limits{Connections: 100_000, ChannelsPerConnection: 1000, MessageBytes: 65_536, PublishPerSecond: 5000, SubscribePerSecond: 100}
}

// maxLimits keep a message below what the bus carries, and rates within what a
// nanosecond clock can meter.
func maxLimits() Limits {
	return Limits{Connections: 10_000_000, ChannelsPerConnection: 100_000, MessageBytes: 1_000_000, PublishPerSecond: 1_000_000, SubscribePerSecond: 100_000}
}

// AllowChannel returns channel_limit unless a connection that has n channels
// may have one more.
func (l Limits) AllowChannel(n int) error {
	if n >= l.ChannelsPerConnection {
		return protocol.Errorf(protocol.CodeChannelLimit, "The connection has %d channels; the app's channels_per_connection limit is %d.", n, l.ChannelsPerConnection)
	}
	return nil
}

// fields are the limits one by one, with their names in JSON.
func (l *Limits) fields() [5]struct {
	name string
	at   *int
} {
	return [5]struct {
		name string
		at   *int
	}{
		{"connections", &l.Connections},
		{"channels_per_connection", &l.ChannelsPerConnection},
		{"message_bytes", &l.MessageBytes},
		{"publish_per_second", &l.PublishPerSecond},
		{"subscribe_per_second", &l.SubscribePerSecond},
	}
}

// check returns a bad_request that names the limit that is out of range.
func (l Limits) check() error {
	most := maxLimits()
	of := most.fields()
	for i, f := range l.fields() {
		if *f.at < 0 || *f.at > *of[i].at {
			return badRequest("The limit %s is %d; it must be from 1 to %d, or 0 for the default.", f.name, *f.at, *of[i].at)
		}
	}
	return nil
}

// filled is l with the defaults in place of zeros.
func (l Limits) filled() Limits {
	d := DefaultLimits()
	of := d.fields()
	for i, f := range l.fields() {
		if *f.at != 0 {
			*of[i].at = *f.at
		}
	}
	return d
}

// on is l changed by p.
func (p LimitsPatch) on(l Limits) Limits {
	for i, v := range [5]*int{p.Connections, p.ChannelsPerConnection, p.MessageBytes, p.PublishPerSecond, p.SubscribePerSecond} {
		if v != nil {
			*l.fields()[i].at = *v
		}
	}
	return l
}
