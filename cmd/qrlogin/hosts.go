package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fanfarehq/fanfare/sdk/qrlogin"
)

// readHosts reads the backends that may use the API under /qr/host/:
//
//	[{"name":"shop","key":"…","public_url":"https://…","phone_key":"<base64 of an Ed25519 public key>","webhook_url":"https://…","webhook_secret":"whsec_…"}]
//
// Only name and key are required; a key has 26 characters or more.
func readHosts(path string) ([]qrlogin.Host, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--hosts: %w", err)
	}
	var list []struct {
		Name          string `json:"name"`
		Key           string `json:"key"`
		PublicURL     string `json:"public_url"`
		PhoneKey      []byte `json:"phone_key"`
		WebhookURL    string `json:"webhook_url"`
		WebhookSecret string `json:"webhook_secret"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("--hosts %s: %w", path, err)
	}
	var hosts []qrlogin.Host
	for _, one := range list {
		if len(one.Key) < 26 {
			return nil, fmt.Errorf("--hosts %s: the key of %q is too short: make it with `openssl rand -hex 32`", path, one.Name)
		}
		hosts = append(hosts, qrlogin.Host{
			Name: one.Name, Key: qrlogin.HashOf(one.Key), PublicURL: one.PublicURL, PhoneKey: ed25519.PublicKey(one.PhoneKey), WebhookURL: one.WebhookURL, WebhookSecret: one.WebhookSecret,
		})
	}
	return hosts, nil
}
