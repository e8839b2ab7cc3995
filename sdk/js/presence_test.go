package js_test

import (
	"fmt"
	"testing"
)

// claims: 11.2 11.3 11.4
func TestPresenceInChromium(t *testing.T) {
	b := openTab(t, false)
	for _, user := range []string{"ann", "bob"} {
		var token struct{ Token string }
		b.post("/v1/tokens", fmt.Sprintf(`{"user":%q,"grants":{"subscribe":["*"],"publish":["*"],"presence":["room"]}}`, user), &token)
		// Bob's connection is never cut: he sees what others are told.
		url := b.wire.url
		if user == "bob" {
			url = b.server.URL
		}
		value[bool](b, fmt.Sprintf(`(globalThis.%s = new Fanfare({ url: %q, token: %q }), true)`, user, url, token.Token))
	}

	// Ann's handler is there before the room, and goes on.
	value[bool](b, `(async () => {
		globalThis.heard = [], globalThis.seen = [];
		await ann.subscribe("room", (m) => heard.push(m.data));
		await ann.publish("room", 1);
		globalThis.hers = await Fanfare.presence(ann, "room");
		globalThis.his = await Fanfare.presence(bob, "room");
		for (const name of ["enter", "update", "leave"]) his.on(name, (m) => seen.push(name + " " + m.user + " " + JSON.stringify(m.data)));
		await hers.enter({ n: 1 });
		return true;
	})()`)
	b.comes(`seen.join() === 'enter ann {"n":1}' && hers.members.get("ann")?.connections === 1`)
	value[bool](b, `hers.update({ n: 2 }).then(() => true)`)
	b.comes(`seen.length === 2`)
	value[bool](b, `his.enter().then(() => true)`)
	b.comes(`seen.length === 3 && hers.members.size === 2`)

	// Cut and back within 5 s: nobody else is told.
	for range 3 {
		value[bool](b, `(globalThis.synced = false, hers.on("sync", () => (synced = true)), true)`)
		b.wire.cut()
		b.comes(`synced && ann.state === "connected"`)
		value[bool](b, `ann.publish("room", heard.length + 1).then(() => true)`)
	}
	b.comes(`heard.join() === "1,2,3,4"`)
	if got := value[string](b, `JSON.stringify([seen, [...hers.members.values()]])`); got != `[["enter ann {\"n\":1}","update ann {\"n\":2}","enter bob undefined"],[{"user":"ann","data":{"n":2},"connections":1},{"user":"bob","connections":1}]]` {
		t.Errorf("after the cuts: %s", got)
	}
	value[bool](b, `hers.close().then(() => true)`)
	b.comes(`seen.at(-1) === 'leave ann {"n":2}' && his.members.size === 1`)

	// Where WebSocket is blocked, server-sent events tell the same.
	var token struct{ Token string }
	b.post("/v1/tokens", `{"user":"eve","grants":{"subscribe":["*"],"presence":["room"]}}`, &token)
	value[bool](b, fmt.Sprintf(`(globalThis.eve = new Fanfare({ url: %q, token: %q, WebSocket: class {
		constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: "" })); }
		close() {}
	} }), Fanfare.presence(eve, "room").then((room) => (globalThis.eves = room)), true)`, b.server.URL, token.Token))
	b.comes(`globalThis.eves?.members.get("bob")?.connections === 1`)
	value[bool](b, `Fanfare.presence(ann, "room").then((room) => room.enter({ n: 3 })).then(() => true)`)
	b.comes(`eves.members.get("ann")?.data?.n === 3`)
	if got := value[string](b, `eves.enter().catch((e) => e.code)`); got != "unknown_command" {
		t.Errorf("enter over server-sent events: %s", got)
	}
	if got := value[string](b, `Fanfare.occupancy(ann, "room", () => {}).catch((e) => e.code)`); got != "presence_off" {
		t.Errorf("occupancy without a rule: %s", got)
	}

	// Refused presence harms no handler.
	if got := value[string](b, `Fanfare.presence(ff, "c").catch((e) => e.code)`); got != "not_granted" {
		t.Errorf("presence without a grant: %s", got)
	}
	b.publish(1)
	b.all(1)
	value[bool](b, `(ann.close(), bob.close(), eve.close(), true)`)
}
