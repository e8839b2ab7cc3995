package qrlogin

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Entry is one line of the audit trail: what happened to an attempt, and who
// did it. It holds no secret.
type Entry struct {
	At      time.Time
	Tenant  string
	Action  string // see the constants
	Attempt string
	User    string // who acted, or whose attempt it is; "" is a stranger
	IP      string // of who acted
	Browser Browser
	Reason  string // why it was rejected; or the risk's reasons, with commas
}

// The actions of an Entry.
const (
	ActionCreated    = "created"
	ActionScanned    = "scanned"
	ActionSecondScan = "second_scan"
	ActionApproved   = "approved"
	ActionChallenged = "challenged" // approved, and digits are asked for
	ActionWrongCode  = "wrong_code"
	ActionRejected   = "rejected"
	ActionCancelled  = "cancelled"
	ActionExpired    = "expired"
	ActionSignedIn   = "signed_in"
	ActionRefused    = "refused" // somebody tried what is not theirs
)

// audit writes the entry and counts it. r may be nil where nobody acted but
// time.
func (s *Server) audit(ctx context.Context, r *http.Request, action string, a Attempt, user string) {
	s.funnel.count(action, a)
	s.notify(action, a)
	e := Entry{At: time.Now().UTC(), Tenant: s.o.Tenant, Action: action, Attempt: a.ID, User: user, Browser: a.Browser, Reason: a.Reason}
	if e.Reason == "" && (action == ActionChallenged || action == ActionApproved) {
		e.Reason = strings.Join(a.Risk.Reasons, ",")
	}
	if r != nil {
		e.IP = s.ip(r).String()
	}
	level := slog.LevelInfo
	switch action {
	case ActionCreated, ActionCancelled, ActionExpired:
		level = slog.LevelDebug // pages that are open and nothing else
	case ActionSecondScan, ActionWrongCode, ActionRefused:
		level = slog.LevelWarn
	}
	s.o.Logger.LogAttrs(ctx, level, "qrlogin: "+strings.ReplaceAll(action, "_", " "), slog.String("attempt", a.ID), slog.String("user", user),
		slog.String("browser", a.Browser.Label()), slog.String("ip", e.IP), slog.String("reason", e.Reason))
	if s.o.Audit != nil {
		s.o.Audit(context.WithoutCancel(ctx), e)
	}
}
