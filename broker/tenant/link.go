package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// How long the ways into the dashboard are good.
const (
	LinkTTL    = 15 * time.Minute
	SessionTTL = 12 * time.Hour
)

// doorRecord is what a sign-in link or a session stands for.
type doorRecord struct {
	Until   time.Time          `json:"until"`
	Account protocol.AccountID `json:"account"`
}

// NewLink makes the code of a sign-in link to the account's dashboard, good
// once within LinkTTL.
func (t *Tenants) NewLink(ctx context.Context, account protocol.AccountID) (code string, expires time.Time, err error) {
	if _, err := t.Account(account); err != nil {
		return "", time.Time{}, err
	}
	r := doorRecord{Until: now().Add(LinkTTL), Account: account}
	code = prefixLink + random(32, base62)
	if err := keep(ctx, t.tickets, "link", code, r, LinkTTL); err != nil {
		return "", time.Time{}, err
	}
	return code, r.Until, nil
}

// RedeemLink turns the code of a sign-in link into a session's secret, once;
// after that it is link_invalid.
func (t *Tenants) RedeemLink(ctx context.Context, code string) (session string, expires time.Time, err error) {
	var r doorRecord
	err = take(ctx, t.tickets, "link", prefixLink, code, &r)
	if err != nil && !errors.Is(err, errGone) {
		return "", time.Time{}, err
	}
	if err != nil || !time.Now().Before(r.Until) {
		return "", time.Time{}, protocol.NewError(protocol.CodeLinkInvalid)
	}
	r.Until = now().Add(SessionTTL)
	session = prefixSession + random(32, base62)
	if err := keep(ctx, t.sessions, "session", session, r, SessionTTL); err != nil {
		return "", time.Time{}, err
	}
	return session, r.Until, nil
}

// Session is the principal of a session's secret, or link_invalid.
func (t *Tenants) Session(ctx context.Context, secret string) (*Principal, error) {
	var r doorRecord
	_, err := look(ctx, t.sessions, "session", prefixSession, secret, &r)
	if err != nil && !errors.Is(err, errGone) {
		return nil, err
	}
	if err != nil || !time.Now().Before(r.Until) {
		return nil, sessionInvalid()
	}
	if _, err := t.Account(r.Account); err != nil {
		return nil, sessionInvalid()
	}
	return &Principal{Account: r.Account, Kind: KindSession, Expires: r.Until}, nil
}

// EndSession ends a session; one that has ended or never was is no error.
func (t *Tenants) EndSession(ctx context.Context, secret string) error {
	var r doorRecord
	if err := take(ctx, t.sessions, "session", prefixSession, secret, &r); err != nil && !errors.Is(err, errGone) {
		return err
	}
	return nil
}

func sessionInvalid() error {
	return protocol.Errorf(protocol.CodeLinkInvalid, "The dashboard session is unknown or has ended.")
}
