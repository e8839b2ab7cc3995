package oidc

import "net/http"

// getMetadata is the document of OpenID Connect Discovery and of RFC 8414.
func (p *Provider) getMetadata(w http.ResponseWriter, _ *http.Request) {
	grants := []string{"authorization_code", "refresh_token"}
	doc := map[string]any{
		"issuer": p.base, "authorization_endpoint": p.base + "/oidc/authorize", "token_endpoint": p.base + "/oidc/token",
		"userinfo_endpoint": p.base + "/oidc/userinfo", "jwks_uri": p.base + "/oidc/jwks", "end_session_endpoint": p.base + "/oidc/logout",
		"revocation_endpoint": p.base + "/oidc/revoke", "scopes_supported": Scopes(),
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": algs(), "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":     []string{"client_secret_basic", "client_secret_post", "none"},
		"claims_supported":                               []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "at_hash", "name", "preferred_username"},
		"prompt_values_supported":                        []string{"none", "login", "consent", "select_account"},
		"authorization_response_iss_parameter_supported": true, "claims_parameter_supported": false,
		"request_parameter_supported": false, "request_uri_parameter_supported": false,
	}
	if p.o.DeviceURL != "" {
		grants = append(grants, deviceGrant)
		doc["device_authorization_endpoint"], doc["push_events_supported"] = p.o.DeviceURL, true
	}
	doc["grant_types_supported"] = grants
	w.Header().Set("Cache-Control", "public, max-age=300")
	answer(w, http.StatusOK, doc)
}

func (p *Provider) getJWKS(w http.ResponseWriter, r *http.Request) {
	set, err := p.o.Keys.public()
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	answer(w, http.StatusOK, set)
}
