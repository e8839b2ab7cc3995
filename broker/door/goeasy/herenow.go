package goeasy

import (
	"context"
	"encoding/json"
	"math"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	hereNowDefault = 10
	hereNowMost    = 100
	usersMost      = 1000 // of one old hereNow
)

// present is the answer of hereNow from 2.7 on.
type present struct {
	Channel protocol.Channel `json:"channel"`
	Amount  int              `json:"amount"`
	Members []person         `json:"members"`
}

// hereNow says how many are in a channel, and who some of them are.
func (s *speaker) hereNow(body json.RawMessage) (any, error) {
	var q struct {
		Channel string `json:"channel"`
		Limit   int    `json:"limit"`
		Access  string `json:"accessToken"`
	}
	if err := read(body, &q); err != nil {
		return nil, err
	}
	ch, err := channelOf(q.Channel)
	if err != nil {
		return nil, err
	}
	if err := s.door.mayUse(&s.client, ch, q.Access, false); err != nil && !s.sess.Subscribed(ch) {
		return nil, err
	}
	if err := mayWatch(s.sess.Who(), ch); err != nil {
		return nil, err
	}
	switch {
	case q.Limit <= 0:
		q.Limit = hereNowDefault
	case q.Limit > hereNowMost:
		return nil, badCall("The limit is %d; %d is the most.", q.Limit, hereNowMost)
	}
	members, total := s.door.o.Crowd.Members(s.pass.App, ch, "", q.Limit)
	out := present{Channel: ch, Amount: total, Members: make([]person, len(members))}
	for i, m := range members {
		out.Members[i] = personOf(m)
	}
	return out, nil
}

// oldQuery is the argument of hereNow before 2.7, and of GET /herenow.
type oldQuery struct {
	Channels []string `json:"channels"`
	Channel  string   `json:"channel"`
	Users    bool     `json:"includeUsers"`
	Distinct bool     `json:"distinct"`
}

// oldPresent is one channel of its answer.
type oldPresent struct {
	Channel protocol.Channel `json:"channel"`
	Clients int              `json:"clientAmount"`
	Users   int              `json:"userAmount"`
	Names   []any            `json:"users,omitzero"`
}

func (s *speaker) oldHereNow(body json.RawMessage) (any, error) {
	var q oldQuery
	if err := read(body, &q); err != nil {
		return nil, err
	}
	w := wish{Channel: q.Channel, Channels: q.Channels}
	channels, err := w.names()
	if err != nil {
		return nil, err
	}
	for _, ch := range channels {
		if err := s.door.mayUse(&s.client, ch, "", false); err != nil && !s.sess.Subscribed(ch) {
			return nil, err
		}
	}
	return s.door.oldRooms(s.sess.Context(), s.sess.Who(), channels, &q, s.oldest)
}

// oldRooms is the answer of the old hereNow. Data of users are strings that
// hold JSON, and themselves where plain.
func (d *Door) oldRooms(ctx context.Context, who *tenant.Principal, channels []protocol.Channel, q *oldQuery, plain bool) (any, error) {
	all := map[protocol.Channel]oldPresent{}
	for _, ch := range channels {
		if err := mayWatch(who, ch); err != nil {
			return nil, err
		}
		members, _ := d.o.Crowd.Members(who.App, ch, "", math.MaxInt)
		n := d.o.Hub.Numbers(ctx, who.App, ch)
		room := oldPresent{Channel: ch, Clients: n.Subscribers, Users: n.Members}
		if q.Users {
			room.Names = []any{}
		}
		for _, m := range members {
			times := 1
			if !q.Distinct {
				times = m.Connections
			}
			for range times {
				if q.Users && len(room.Names) < usersMost {
					room.Names = append(room.Names, oldPerson(m, plain))
				}
			}
		}
		all[ch] = room
	}
	return map[string]any{"channels": all}, nil
}

func oldPerson(m protocol.Member, plain bool) any {
	p := personOf(m)
	if plain {
		return p
	}
	return map[string]string{"id": p.ID, "data": string(p.Data)}
}

// hereNowByUsers says which of some users are in a channel that the client is
// in, too.
func (s *speaker) hereNowByUsers(body json.RawMessage) (any, error) {
	var q struct {
		Users    []string `json:"userIds"`
		Distinct bool     `json:"distinct"`
	}
	if err := read(body, &q); err != nil {
		return nil, err
	}
	if len(q.Users) == 0 || len(q.Users) > 50 {
		return nil, badCall("The call names %d users; it must be 1 to 50.", len(q.Users))
	}
	wanted, out := map[string]bool{}, []any{}
	for _, user := range q.Users {
		wanted[user] = true
	}
	for ch := range s.subs {
		if mayWatch(s.sess.Who(), ch) != nil {
			continue
		}
		members, _ := s.door.o.Crowd.Members(s.pass.App, ch, "", math.MaxInt)
		for _, m := range members {
			if wanted[m.User] {
				delete(wanted, m.User)
				p := personOf(m)
				out = append(out, map[string]any{"userId": p.ID, "userData": string(p.Data), "id": p.ID, "data": p.Data})
			}
		}
	}
	return out, nil
}
