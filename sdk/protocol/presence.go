package protocol

import "encoding/json"

// What a presence command asks for, and what a presence frame tells (PROTOCOL.md,
// section 11).
const (
	PresenceEnter   = "enter"   // both ways
	PresenceUpdate  = "update"  // both ways
	PresenceLeave   = "leave"   // both ways
	PresenceMembers = "members" // command only
	PresenceSync    = "sync"    // frame only: who is present, in place of all that was told before
)

// MaxPresenceData is the most bytes that a member's data may have.
const MaxPresenceData = 1024

// Member is a user who is present in a channel, with all its connections.
type Member struct {
	User        string          `json:"user" doc:"The user of the token that entered"`
	Data        json.RawMessage `json:"data,omitempty" doc:"What the user said about itself last: any JSON"`
	Connections int             `json:"connections,omitempty" doc:"With how many connections the user is here"`
}

// Occupancy is how many there are in a channel.
type Occupancy struct {
	Subscribers int `json:"subscribers" doc:"Subscriptions to the channel, one for each connection"`
	Members     int `json:"members" doc:"Users who are present"`
}

// ChannelInfo is a channel that is in use: it has a subscriber or a member.
type ChannelInfo struct {
	Channel Channel `json:"channel" doc:"The channel's name"`
	Occupancy
}
