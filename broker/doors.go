package broker

import (
	"github.com/fanfarehq/fanfare/broker/door/goeasy"
	"github.com/fanfarehq/fanfare/broker/stats"
)

// goeasy makes the door for GoEasy's clients.
func (b *Broker) goeasy(counters *stats.Stats) *goeasy.Door {
	o := goeasy.Options{
		Sessions: b.sessions, Open: b.ws.Speak, Keys: b.tenants, Hub: b.hub, Crowd: b.hub,
		Stats: counters, Log: b.log, PingInterval: b.config.PingInterval,
	}
	if b.config.Cluster != nil {
		o.Peers = b.bus.Peers()
	}
	return goeasy.New(o)
}
