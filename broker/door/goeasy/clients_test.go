package goeasy_test

import (
	"fmt"
	"strings"
	"testing"
)

// versions are GoEasy's clients that are let in as they are.
func versions() []string { return []string{"2.14.9", "2.8.3", "2.4.7", "1.2.1"} }

// GoEasy's own clients, over WebSocket, over long polling alone and from one to
// the other, do what they are for.
func TestGoEasyClients(t *testing.T) {
	type how struct{ version, name, more string }
	// 2.14.9 polls only where its WebSocket cannot even be made, and waits for
	// ever where there is none: it has that code and does not come to it.
	all := []how{{"2.8.3", "v283up", "&old"}, {"2.8.3", "v283poll", "&old"}, {"1.2.1", "v121poll", "&old"}}
	for _, v := range versions() {
		all = append(all, how{v, "v" + strings.ReplaceAll(v, ".", ""), ""})
	}
	var names []string
	for _, h := range all {
		names = append(names, h.name)
	}
	w := openWorld(t, names)
	for _, h := range all {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			line := w.wires[h.name]
			isPoll := strings.HasSuffix(h.name, "poll")
			line.set(func() { line.deaf = isPoll })
			p := w.open(t, h.version, h.name, w.key("COMMON_KEY"), h.more)
			w.serves(t, p, line, h.name, h.version)
			saw := false
			line.set(func() { saw = line.sawWS })
			if saw == isPoll {
				t.Errorf("a WebSocket was there: %v", saw)
			}
		})
	}
}

// serves is what a customer's page does with its client.
func (w *world) serves(t *testing.T, p *page, line *wire, ch, version string) {
	p.gives(`drive.connect("ann").then(() => 1)`, "1")
	enable := `, {presence: {enable: true}}`
	isNew := version == "2.14.9" || version == "2.8.3"
	if !isNew {
		enable = ""
	}
	p.gives(fmt.Sprintf(`drive.subscribe(%q%s).then(() => 1)`, ch, enable), "1")
	p.gives(fmt.Sprintf(`drive.subscribeAll([%q, %q]).then(() => 1)`, ch+":a", ch+":b"), "1")

	// Published by itself, over GoEasy's REST and over ours.
	p.gives(fmt.Sprintf(`drive.publish(%q, "one 😀 <b>").then(() => 1)`, ch), "1")
	w.publish(t, ch, "two", 0)
	if status, text := call(t, "POST", w.URL+"/v1/messages", "application/json", w.SecretKey, fmt.Sprintf(`{"channel":%q,"data":{"three":3}}`, ch)); status > 299 {
		t.Fatal(status, text)
	}
	p.texts("one 😀 <b>", "two", `{"three":3}`) // channels have no order among each other
	w.publish(t, ch+":b", "four", 1)
	p.texts("one 😀 <b>", "two", `{"three":3}`, "four")
	p.gives(`[got[0].channel, got[3].channel, Math.abs(got[0].time - Date.now()) < 600000]`, fmt.Sprintf(`[%q,%q,true]`, ch, ch+":b"))
	p.gives(fmt.Sprintf(`drive.history(%q, {limit: 2}).then((r) => [r.code, r.content.messages.map((m) => m.content)])`, ch), `[200,["two","{\"three\":3}"]]`)

	// Who is there, and who comes and goes.
	p.comes(fmt.Sprintf(`drive.hereNow(%q).then((r) => JSON.stringify(r) === '[1,["ann ann"]]')`, ch))
	p.gives(fmt.Sprintf(`drive.presence(%q).then(() => 1)`, ch), "1")
	bob := w.open(t, version, ch, w.key("COMMON_KEY"), "")
	line.set(func() { line.deaf = false }) // for bob alone: ann stays where she is
	bob.gives(`drive.connect("bob").then(() => 1)`, "1")
	line.set(func() { line.deaf = strings.HasSuffix(ch, "poll"); line.sawWS = line.sawWS && !line.deaf })
	bob.gives(fmt.Sprintf(`drive.subscribe(%q%s).then(() => 1)`, ch, enable), "1")
	p.comes(`seen.includes("join bob bob")`)
	bob.gives(fmt.Sprintf(`drive.unsubscribe(%q).then(() => 1)`, ch), "1")
	p.comes(`seen.includes("leave bob bob")`)

	// A short cut: what is of qos 1 comes once, in order, and what was said to
	// be lost is. Presence goes on, which its client does not ask for again.
	line.set(func() { line.down = true })
	line.cut()
	w.publish(t, ch, "lost", 0)
	w.publish(t, ch, "five", 1)
	w.publish(t, ch+":a", "six", 1)
	line.set(func() { line.down = false })
	p.comes(`connects >= 2`)
	p.comes(`got.length >= 6`)
	w.publish(t, ch, "seven", 0)
	p.comes(`got.length >= 7`)
	p.gives(`got.slice(4).map((m) => m.content).sort()`, `["five","seven","six"]`)
	p.gives(fmt.Sprintf(`got.slice(4).filter((m) => m.channel === %q).map((m) => m.content)`, ch), `["five","seven"]`)
}
