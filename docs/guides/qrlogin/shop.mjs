// A small web app for Node 20: sign-in by password, and a page for who is
// signed in. Without the lines from "QR login" to "end" it works as before.
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import http from "node:http";

const users = { ada: "correct horse", bob: "battery staple" }; // yours keeps hashes
const sessions = new Map(); // by the cookie's value: {id, user, attempts}
const esc = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, html = "") => `<!doctype html><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1>${html}`;

function send(res, status, body, type = "text/html; charset=utf-8") {
  res.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer" });
  res.end(status === 204 ? undefined : body);
}

const cookie = (req) => /(?:^|; )sid=([\w-]+)/.exec(req.headers.cookie ?? "")?.[1];

// begin gives the browser a new session and forgets the one that it had.
function begin(req, res, user) {
  sessions.delete(cookie(req));
  const value = randomUUID(), session = { id: randomUUID(), user, attempts: {} };
  sessions.set(value, session);
  res.setHeader("Set-Cookie", `sid=${value}; Path=/; HttpOnly; SameSite=Lax`); // and Secure, over https
  return session;
}

function signIn(back) {
  let html = `<form method="post" action="/signin?back=${encodeURIComponent(back)}">
    <input name="user" placeholder="name"> <input name="password" type="password" placeholder="password"> <button>Sign in</button></form>`;
  // QR login: on the login page.
  if (back === "/") html += `<script type="module" src="/qr/assets/fanfare-qr-login.js"></script><fanfare-qr-login></fanfare-qr-login>`;
  // end
  return page("Sign in", html);
}

// QR login: what the page's element asks for, and the page where the code leads.
const { QR_URL, QR_KEY, QR_WEBHOOK_SECRET } = process.env;
const caller = (req) => ({ ip: req.socket.remoteAddress, user_agent: req.headers["user-agent"], accept_language: req.headers["accept-language"] });
async function api(req, path, body) {
  const headers = { Authorization: `Bearer ${QR_KEY}`, "Content-Type": "application/json", Prefer: req.headers.prefer ?? "" };
  const r = await fetch(QR_URL + path, { method: body ? "POST" : req.method, headers, body: body && JSON.stringify(body) });
  return [r.status, await r.text(), r.headers.get("Content-Type") ?? "text/html"];
}
async function login(req, res, session, body) {
  const path = req.url.slice(3), id = path.split(/[/?]/)[2], secret = session.attempts[id];
  if (!path.startsWith("/attempts")) return send(res, ...(await api(req, req.url)));
  if (id && !secret) return send(res, 404, "{}");
  const more = id ? { ...body, attempt_secret: secret } : caller(req);
  const [status, text, type] = await api(req, "/qr/host" + path, req.method === "POST" ? more : undefined);
  const { attempt_secret, subject, ...answer } = JSON.parse(text || "{}");
  if (attempt_secret) session.attempts[answer.attempt_id] = attempt_secret;
  if (subject) begin(req, res, subject);
  send(res, status, JSON.stringify({ ...answer, next: "/" }), type);
}
async function phone(req, res, session, body) {
  const who = { subject: session.user, name: session.user, session: session.id, ticket: req.url.slice(3), sec_fetch_site: req.headers["sec-fetch-site"] };
  send(res, ...(await api(req, "/qr/host/phone", { ...body, ...who, ...caller(req) })));
}
// end

// QR login: webhooks, for those who want to hear of each step.
const told = [];
function hook(req, res, raw) {
  const [id, at, signatures] = ["id", "timestamp", "signature"].map((h) => req.headers[`webhook-${h}`] ?? "");
  const hmac = createHmac("sha256", Buffer.from(QR_WEBHOOK_SECRET.slice(6), "base64")).update(`${id}.${at}.${raw}`);
  const mine = Buffer.from("v1," + hmac.digest("base64")), fresh = Math.abs(Date.now() / 1000 - at) < 300;
  const good = fresh && signatures.split(" ").some((s) => s.length === mine.length && timingSafeEqual(Buffer.from(s), mine));
  if (good) told.push(JSON.parse(raw).type);
  send(res, good ? 200 : 401, good ? told.join(" ") : "not signed");
}
// end

async function handle(req, res) {
  let raw = "";
  for await (const part of req) if ((raw += part).length > 16384) return send(res, 413, "too large");
  const { pathname, searchParams } = new URL(req.url, "http://localhost");
  // QR login
  if (pathname === "/hooks") return hook(req, res, raw);
  // end
  if (req.method !== "GET" && !["same-origin", "none"].includes(req.headers["sec-fetch-site"])) return send(res, 403, "from another site");
  const json = req.headers["content-type"] === "application/json";
  const body = json ? JSON.parse(raw || "{}") : Object.fromEntries(new URLSearchParams(raw));
  const session = sessions.get(cookie(req)) ?? begin(req, res);
  const back = /^\/q\/\w+$/i.test(searchParams.get("back")) ? searchParams.get("back") : "/";
  if (pathname === "/signin" && req.method === "POST") {
    if (!body.password || users[body.user] !== body.password) return send(res, 401, signIn(back));
    begin(req, res, body.user);
    return res.writeHead(303, { Location: back }).end();
  }
  // QR login
  if (/^\/(qr|sdk)\//.test(pathname)) return login(req, res, session, body);
  if (/^\/q\/\w+$/i.test(pathname) && session.user) return phone(req, res, session, body);
  // end
  if (session.user) return send(res, 200, page(`Hello, ${esc(session.user)}`));
  send(res, 401, signIn(pathname));
}

http.createServer((req, res) => handle(req, res).catch(() => send(res, 500, "that failed"))).listen(process.env.PORT, "127.0.0.1");
