// Signing in by passkey: a button, and the browser's own list under the name.
const button = document.querySelector("#passkey"), fault = document.querySelector("#fault");
const back = document.querySelector("[name=return_to]").value;
const json = (path, body) => fetch(path, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
let waiting = null; // the list under the name, to be ended before the button asks

async function signIn(how) {
  const begun = await json("/passkey/begin", {});
  if (!begun.ok) throw new Error("refused");
  const { publicKey } = await begun.json();
  const key = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey), ...how });
  const r = await json("/passkey/finish", key.toJSON());
  if (!r.ok) throw new Error("refused");
  // The way back is this server's own, and is checked here once more.
  location.assign(/^\/(?![\/\\])/.test(back) ? back : (await r.json()).next);
}

if (globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    waiting?.abort();
    fault.hidden = true;
    await signIn({}).catch(() => { fault.hidden = false; });
  });
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) {
    waiting = new AbortController();
    signIn({ mediation: "conditional", signal: waiting.signal }).catch(() => {}); // the button is there
  }
}
