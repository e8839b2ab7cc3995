// A device that signs in by RFC 8628 with a library as it is.
//   node device.mjs openid-client|oauth4webapi ISSUER CLIENT_ID
// It prints "link URL", then "end token" or "end <error>".
import * as client from "openid-client";
import * as oauth from "oauth4webapi";

const [library, issuer, id] = process.argv.slice(2);
const scope = "openid profile offline_access";
const link = (r) => console.log("link", r.verification_uri_complete);
const done = (t, sub) => console.log("end", t.access_token && t.refresh_token && sub === "demo" ? "token" : "nothing");

async function openidClient() {
  const config = await client.discovery(new URL(issuer), id, undefined, client.None(), { execute: [client.allowInsecureRequests] });
  const begun = await client.initiateDeviceAuthorization(config, { scope });
  link(begun);
  const t = await client.pollDeviceAuthorizationGrant(config, begun);
  done(t, t.claims().sub);
}

async function oauth4webapi() {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure));
  const me = { client_id: id };
  const begun = await oauth.processDeviceAuthorizationResponse(as, me, await oauth.deviceAuthorizationRequest(as, me, oauth.None(), { scope }, insecure));
  link(begun);
  for (let interval = begun.interval ?? 5; ; ) {
    await new Promise((next) => setTimeout(next, interval * 1000));
    try {
      const answer = await oauth.deviceCodeGrantRequest(as, me, oauth.None(), begun.device_code, insecure);
      const t = await oauth.processDeviceCodeResponse(as, me, answer);
      await oauth.validateApplicationLevelSignature(as, answer, insecure);
      return done(t, oauth.getValidatedIdTokenClaims(t).sub);
    } catch (e) {
      if (e.error === "slow_down") interval += 5;
      else if (e.error !== "authorization_pending") throw e;
    }
  }
}

try {
  await (library === "openid-client" ? openidClient() : oauth4webapi());
} catch (e) {
  console.log("end", e.error ?? e.cause?.error ?? e.code ?? e.message);
}
