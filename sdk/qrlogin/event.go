package qrlogin

import (
	"context"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// pageView is what the page may know of its attempt, in snapshots and pushes.
// Whoever reads all of it can do nothing with it.
type pageView struct {
	Seq        uint64    `json:"seq"`
	State      State     `json:"state"`
	Reason     string    `json:"reason,omitempty"`
	ExpiresAt  time.Time `json:"expires_at"`            // of the state
	CodeEnds   time.Time `json:"code_ends_at,omitzero"` // pending: of the code
	LastCode   bool      `json:"last_code,omitempty"`   // pending: no other code follows
	Asked      bool      `json:"asked,omitempty"`       // pending: a phone was asked, there is no code
	Profile    *Profile  `json:"profile,omitempty"`     // masked
	Digits     int       `json:"digits,omitempty"`      // challenge: how many to type
	Tries      int       `json:"tries,omitempty"`       // challenge: how many are left
	ServerTime time.Time `json:"server_time"`
}

func (s *Server) viewOf(a Attempt) pageView {
	v := pageView{Seq: a.Seq, State: a.State, Reason: a.Reason, ExpiresAt: a.Deadline.UTC(), ServerTime: time.Now().UTC()}
	if a.State == Pending {
		v.CodeEnds = a.Ticket.Ends.UTC()
		v.LastCode = a.Rotations >= s.o.Times.Rotations
		v.Asked = a.Asked.ID != ""
	}
	if v.Asked {
		p := a.Asked.masked()
		v.Profile = &p
	}
	switch a.State {
	case Challenged:
		v.Digits, v.Tries = a.Digits, a.Tries
		fallthrough
	case Scanned, Approved:
		p := User{Name: a.UserName}.masked()
		v.Profile = &p
	}
	return v
}

// phoneView is what the phone may know.
type phoneView struct {
	Seq          uint64    `json:"seq"`
	State        State     `json:"state"`
	Reason       string    `json:"reason,omitempty"`
	Risk         string    `json:"risk,omitempty"` // scanned: low, medium, high
	SessionLabel string    `json:"session_label,omitempty"`
	ExpiresAt    time.Time `json:"expires_at"`
	ServerTime   time.Time `json:"server_time"`
}

func phoneViewOf(a Attempt) phoneView {
	return phoneView{Seq: a.Seq, State: a.State, Reason: a.Reason, SessionLabel: a.Browser.Label(), ExpiresAt: a.Deadline.UTC(), ServerTime: time.Now().UTC()}
}

// approvedView is all that `approved` says: come and fetch.
type approvedView struct {
	Seq   uint64 `json:"seq"`
	State State  `json:"state"`
}

const (
	pushTimeout = 2 * time.Second
	pushTries   = 2
)

// announce pushes an event to the page and, where it is news to it, to the
// phone. It goes on when the request that caused it is gone. A push that is
// lost costs time only: both sides ask for a snapshot now and then.
func (s *Server) announce(ctx context.Context, a Attempt, event string) {
	ctx = context.WithoutCancel(ctx)
	var toPage any = s.viewOf(a)
	if event == "approved" {
		toPage = approvedView{Seq: a.Seq, State: a.State}
	}
	s.push(ctx, a.ID, a.Channel, event, toPage)
	if a.UserID != "" && event != "scanned" && event != "approved" && event != "challenge" {
		s.tellPhone(ctx, a, event)
	}
}

// tellPhone pushes an event to the phone alone.
func (s *Server) tellPhone(ctx context.Context, a Attempt, event string) {
	s.push(context.WithoutCancel(ctx), a.ID, a.PhoneChannel, event, phoneViewOf(a))
}

func (s *Server) push(ctx context.Context, attempt, channel, event string, data any) {
	var err error
	for range pushTries {
		once, cancel := context.WithTimeout(ctx, pushTimeout)
		_, err = s.o.Fanfare.Publish(once, channel, data, fanfare.Event(event))
		cancel()
		if err == nil {
			return
		}
	}
	s.o.Logger.Warn("qrlogin: an event could not be pushed", "attempt", attempt, "event", event, "error", err)
}

// channelGrant is what a page or a phone needs to listen.
type channelGrant struct {
	URL     string `json:"fanfare_url"` // "" is this origin
	SDK     string `json:"sdk_url"`
	Channel string `json:"channel"`
	Token   string `json:"channel_token"`
}

// grant lets its holder listen to one channel and do nothing else, until the
// attempt's latest end and 30 s more.
func (s *Server) grant(channel string, ends time.Time) (channelGrant, error) {
	ttl := (time.Until(ends) + 30*time.Second).Truncate(time.Second)
	token, err := s.o.Fanfare.Token("", protocol.Grants{Subscribe: []string{channel}}, ttl)
	return channelGrant{URL: s.o.FanfareURL, SDK: s.o.SDKURL, Channel: channel, Token: token}, err
}
