// A relying party of OpenID Connect with a library as it is.
//   node party.mjs openid-client|oauth4webapi ISSUER CLIENT_ID SECRET CALLBACK LOGOUT
// For each line of standard input, a case, it prints "go URL" (where a browser is
// to go), reads the URL to which the browser came back, and prints "end ok" or
// "end <error>".
import { createInterface } from "node:readline";
import * as client from "openid-client";
import * as oauth from "oauth4webapi";

const [library, issuer, id, secret, callback, logout] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const scope = "openid profile offline_access";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const line = async () => (await lines.next()).value;
const visit = async (url) => {
  console.log("go", String(url));
  return new URL(await line());
};
const check = (ok, what) => {
  if (!ok) throw new Error(what);
};
const refused = async (promise, error) => {
  const e = await promise.then(() => check(false, "taken: " + error), (e) => e);
  check((e.error ?? e.cause?.error) === error, `${e.error ?? e.cause?.error ?? e.message} in place of ${error}`);
};

// The two libraries behind one face.
async function openidClient() {
  const auth = secret ? client.ClientSecretPost(secret) : client.None();
  const config = await client.discovery(new URL(issuer), id, undefined, auth, { execute: [client.allowInsecureRequests] });
  client.enableNonRepudiationChecks(config);
  return {
    url: (p) => client.buildAuthorizationUrl(config, p),
    code: async (back, c) => {
      const t = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier: c.verifier, expectedState: c.state, expectedNonce: c.nonce, ...(c.maxAge === undefined ? {} : { maxAge: c.maxAge }), idTokenExpected: true });
      return { ...t, claims: t.claims() };
    },
    refresh: (token) => client.refreshTokenGrant(config, token),
    user: (token, sub) => client.fetchUserInfo(config, token, sub),
    revoke: (token) => client.tokenRevocation(config, token),
    leave: (hint) => client.buildEndSessionUrl(config, { id_token_hint: hint, post_logout_redirect_uri: logout, state: "bye" }),
  };
}

async function oauth4webapi() {
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure));
  const me = { client_id: id };
  const auth = secret ? oauth.ClientSecretBasic(secret) : oauth.None();
  return {
    url: (p) => new URL(as.authorization_endpoint + "?" + new URLSearchParams({ client_id: id, response_type: "code", ...p })),
    code: async (back, c) => {
      const answer = oauth.validateAuthResponse(as, me, back, c.state);
      const r = await oauth.authorizationCodeGrantRequest(as, me, auth, answer, callback, c.verifier, insecure);
      const t = await oauth.processAuthorizationCodeResponse(as, me, r, { expectedNonce: c.nonce, requireIdToken: true, ...(c.maxAge === undefined ? {} : { maxAge: c.maxAge }) });
      await oauth.validateApplicationLevelSignature(as, r, insecure);
      return { ...t, claims: oauth.getValidatedIdTokenClaims(t) };
    },
    refresh: async (token) => {
      const r = await oauth.refreshTokenGrantRequest(as, me, auth, token, insecure);
      const t = await oauth.processRefreshTokenResponse(as, me, r);
      await oauth.validateApplicationLevelSignature(as, r, insecure);
      // The access token is one that others can verify too (RFC 9068).
      const asked = new Request(callback, { headers: { authorization: "Bearer " + t.access_token } });
      const claims = await oauth.validateJwtAccessToken(as, asked, id, insecure);
      check(claims.sub === "demo" && claims.client_id === id, "the access token");
      return t;
    },
    user: async (token, sub) => oauth.processUserInfoResponse(as, me, sub, await oauth.userInfoRequest(as, me, token, insecure)),
    revoke: async (token) => oauth.processRevocationResponse(await oauth.revocationRequest(as, me, auth, token, insecure)),
    leave: (hint) => new URL(as.end_session_endpoint + "?" + new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: logout, state: "bye" })),
  };
}

async function run(party, what) {
  const c = { verifier: client.randomPKCECodeVerifier(), state: client.randomState(), nonce: client.randomNonce() };
  const ask = { redirect_uri: callback, scope, state: c.state, nonce: c.nonce, code_challenge: await client.calculatePKCECodeChallenge(c.verifier), code_challenge_method: "S256" };
  if (what === "max_age") ask.max_age = String((c.maxAge = 3600));
  if (what === "prompt_none") ask.prompt = "none";
  if (what === "no_pkce") delete ask.code_challenge, delete ask.code_challenge_method;
  const back = await visit(party.url(ask));
  switch (what) {
    case "prompt_none":
    case "no_pkce":
    case "denied":
      return refused(party.code(back, c), { prompt_none: "login_required", no_pkce: "invalid_request", denied: "access_denied" }[what]);
    case "other_verifier":
      return refused(party.code(back, { ...c, verifier: client.randomPKCECodeVerifier() }), "invalid_grant");
    case "other_nonce": // the library itself has to see it
      return party.code(back, { ...c, nonce: "another" }).then(() => check(false, "taken"), (e) => check(/nonce/.test(e.message + e.cause?.message), e.message));
    case "other_state":
      return party.code(back, { ...c, state: "another" }).then(() => check(false, "taken"), (e) => check(/state/.test(e.message + e.cause?.message), e.message));
    case "other_issuer":
      back.searchParams.set("iss", "https://evil.test");
      return party.code(back, c).then(() => check(false, "taken"), (e) => check(/iss/.test(e.message + e.cause?.message), e.message));
  }
  const t = await party.code(back, c);
  check(t.claims.sub === "demo" && t.claims.auth_time > 0 && t.claims.sid, "the claims");
  if (what === "twice") {
    await refused(party.code(back, c), "invalid_grant");
    return refused(party.refresh(t.refresh_token), "invalid_grant");
  }
  check((await party.user(t.access_token, "demo")).name === "Demo User", "userinfo");
  const next = await party.refresh(t.refresh_token);
  if (what === "reuse") {
    await refused(party.refresh(t.refresh_token), "invalid_grant");
    return refused(party.refresh(next.refresh_token), "invalid_grant");
  }
  if (what === "revoke") {
    await party.revoke(next.refresh_token);
    return refused(party.refresh(next.refresh_token), "invalid_grant");
  }
  if (what === "logout") {
    const out = await visit(party.leave(t.id_token));
    check(out.href === logout + "?state=bye", "after signing out at " + out);
    return refused(party.refresh(next.refresh_token), "invalid_grant");
  }
}

const party = await (library === "openid-client" ? openidClient() : oauth4webapi());
for (let what; (what = await line()); ) {
  await run(party, what).then(() => console.log("end ok"), (e) => console.log("end", e.error ?? e.cause?.error ?? "", e.message, e.cause?.message ?? ""));
}
