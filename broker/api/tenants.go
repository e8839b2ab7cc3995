package api

import (
	"context"
	"time"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// What this door needs of the register of tenants, by topic. *tenant.Tenants
// is all of it.

type credentials interface {
	Authenticate(ctx context.Context, credential, origin string) (*tenant.Principal, error)
	Session(ctx context.Context, secret string) (*tenant.Principal, error)
	AppOf(credential string) (app protocol.AppID, key string)
}

type accounts interface {
	Account(id protocol.AccountID) (tenant.Account, error)
}

type apps interface {
	Apps(account protocol.AccountID) []tenant.App
	App(account protocol.AccountID, id protocol.AppID) (tenant.App, error)
	CreateApp(ctx context.Context, account protocol.AccountID, in tenant.AppInput) (tenant.App, error)
	UpdateApp(ctx context.Context, account protocol.AccountID, id protocol.AppID, p tenant.AppPatch) (tenant.App, error)
	DeleteApp(ctx context.Context, account protocol.AccountID, id protocol.AppID) error
}

type keys interface {
	CreateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, in tenant.KeyInput) (tenant.Key, error)
	Keys(account protocol.AccountID, app protocol.AppID) ([]tenant.Key, error)
	Key(account protocol.AccountID, app protocol.AppID, id string) (tenant.Key, error)
	UpdateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, p tenant.KeyPatch) (tenant.Key, error)
	RevokeKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string) error
}

type rotator interface {
	RotateKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, grace time.Duration) (tenant.Key, error)
}

type doorKeys interface {
	CreateDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, in tenant.DoorKeyInput) (tenant.DoorKey, error)
	DoorKeys(account protocol.AccountID, app protocol.AppID) ([]tenant.DoorKey, error)
	DoorKey(account protocol.AccountID, app protocol.AppID, id string) (tenant.DoorKey, error)
	RotateDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string, grace time.Duration) (tenant.DoorKey, error)
	RevokeDoorKey(ctx context.Context, account protocol.AccountID, app protocol.AppID, id string) error
}

type tokens interface {
	SignToken(p *tenant.Principal, user string, g protocol.Grants, ttl time.Duration) (token string, expires time.Time, err error)
	NewTicket(ctx context.Context, p *tenant.Principal) (text string, expires time.Time, err error)
}

type sessions interface {
	NewLink(ctx context.Context, account protocol.AccountID) (code string, expires time.Time, err error)
	RedeemLink(ctx context.Context, code string) (session string, expires time.Time, err error)
	EndSession(ctx context.Context, secret string) error
}
