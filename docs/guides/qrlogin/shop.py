"""A small web app for Python 3.9: sign-in by password, and a page for who is
signed in. Without the lines from "QR login" to "end" it works as before."""
import base64, hashlib, hmac, html, http.cookies, http.server, json, os, re, secrets, time, urllib.error, urllib.parse, urllib.request

USERS = {"ada": "correct horse", "bob": "battery staple"}  # yours keeps hashes
SESSIONS = {}  # by the cookie's value: id, user, attempts


def page(title, more=""):
    return f'<!doctype html><meta name="viewport" content="width=device-width"><title>{title}</title><h1>{title}</h1>{more}'


def sign_in(back):
    more = f'''<form method="post" action="/signin?back={urllib.parse.quote(back, safe="")}"><input name="user" placeholder="name">
      <input name="password" type="password" placeholder="password"> <button>Sign in</button></form>'''
    # QR login: on the login page.
    if back == "/":
        more += '<script type="module" src="/qr/assets/fanfare-qr-login.js"></script><fanfare-qr-login></fanfare-qr-login>'
    # end
    return page("Sign in", more)


# QR login: what the page's element asks for, and the page where the code leads.
QR_URL, QR_KEY, QR_WEBHOOK_SECRET = (os.environ.get(k, "") for k in ("QR_URL", "QR_KEY", "QR_WEBHOOK_SECRET"))
def api(app, path, body=None):
    h = {"Authorization": "Bearer " + QR_KEY, "Content-Type": "application/json", "Prefer": app.headers.get("Prefer", "")}
    data = None if body is None else json.dumps(body).encode()
    try:
        r = urllib.request.urlopen(urllib.request.Request(QR_URL + path, data, h, method="POST" if data else app.command))
    except urllib.error.HTTPError as e:
        r = e
    return r.status, r.read().decode(), r.headers.get("Content-Type")
def login(app, session, body):
    if not app.path.startswith("/qr/attempts"):
        return app.send(*api(app, app.path))
    one = re.split("[/?]", app.path)[3:]
    if one and one[0] not in session["attempts"]:
        return app.send(404, "{}")
    more = {**body, "attempt_secret": session["attempts"][one[0]]} if one else app.caller()
    status, text, kind = api(app, "/qr/host" + app.path[3:], more if app.command == "POST" else None)
    answer = json.loads(text or "{}")
    if secret := answer.pop("attempt_secret", None):
        session["attempts"][answer["attempt_id"]] = secret
    if user := answer.pop("subject", None):
        app.begin(user)
    app.send(status, json.dumps({**answer, "next": "/"}), kind)
def phone(app, session, body):
    who = {"subject": session["user"], "name": session["user"], "session": session["id"], "ticket": app.path[3:]}
    app.send(*api(app, "/qr/host/phone", {**body, **who, **app.caller(), "sec_fetch_site": app.headers.get("Sec-Fetch-Site", "")}))
# end


# QR login: webhooks, for those who want to hear of each step.
TOLD = []
def hook(app, raw):
    i, at, signatures = (app.headers.get("webhook-" + k, "") for k in ("id", "timestamp", "signature"))
    mac = hmac.new(base64.b64decode(QR_WEBHOOK_SECRET[6:]), f"{i}.{at}.".encode() + raw, hashlib.sha256).digest()
    mine, fresh = "v1," + base64.b64encode(mac).decode(), at.isdigit() and abs(time.time() - int(at)) < 300
    good = fresh and any(hmac.compare_digest(s.encode(), mine.encode()) for s in signatures.split())
    if good:
        TOLD.append(json.loads(raw)["type"])
    app.send(200 if good else 401, " ".join(TOLD) if good else "not signed")
# end


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass  # it would log tickets

    def send(self, status, body, kind="text/html; charset=utf-8", **headers):
        data = b"" if status == 204 else body.encode()
        self.send_response(status)
        for k, v in {"Content-Type": kind, "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", **headers}.items():
            self.send_header(k, v)
        if self.new:  # and Secure, over https
            self.send_header("Set-Cookie", f"sid={self.new}; Path=/; HttpOnly; SameSite=Lax")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def caller(self):
        h = self.headers
        return {"ip": self.client_address[0], "user_agent": h.get("User-Agent", ""), "accept_language": h.get("Accept-Language", "")}

    def begin(self, user=None):
        """A new session, and the end of the one that the browser had."""
        SESSIONS.pop(self.sid, None)
        self.sid = self.new = secrets.token_urlsafe(32)
        SESSIONS[self.sid] = {"id": secrets.token_urlsafe(16), "user": user, "attempts": {}}
        return SESSIONS[self.sid]

    def handle_any(self):
        self.new = None
        raw = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 16384))
        path, _, query = self.path.partition("?")
        # QR login
        if path == "/hooks":
            return hook(self, raw)
        # end
        if self.command != "GET" and self.headers.get("Sec-Fetch-Site") not in ("same-origin", "none"):
            return self.send(403, "from another site")
        as_json = self.headers.get("Content-Type") == "application/json"
        body = json.loads(raw or b"{}") if as_json else dict(urllib.parse.parse_qsl(raw.decode()))
        found = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get("sid")
        self.sid = found.value if found else None
        session = SESSIONS.get(self.sid) or self.begin()
        back = urllib.parse.parse_qs(query).get("back", ["/"])[0]
        back = back if re.fullmatch(r"/[qQ]/\w+", back) else "/"
        if path == "/signin" and self.command == "POST":
            if USERS.get(body.get("user"), "") != body.get("password"):
                return self.send(401, sign_in(back))
            self.begin(body["user"])
            return self.send(303, "", Location=back)
        # QR login
        if re.match("/(qr|sdk)/", path):
            return login(self, session, body)
        if re.fullmatch(r"/[qQ]/\w+", path) and session["user"]:
            return phone(self, session, body)
        # end
        if session["user"]:
            return self.send(200, page("Hello, " + html.escape(session["user"])))
        self.send(401, sign_in(path))

    do_GET = do_POST = do_DELETE = handle_any


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
