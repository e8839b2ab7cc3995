package pusher_test

import (
	"strings"
	"testing"
)

// TestPusherNode runs the remote tests of Pusher's library for Node, which are
// in its npm package, against a node: all seven.
func TestPusherNode(t *testing.T) {
	t.Parallel()
	w := start(t)
	n := node{routes: map[string]int{"listen:8321": 0}, env: []string{"PUSHER_URL=http://" + w.key + ":" + w.secret + "@" + w.host + "/apps/" + w.appID}}
	out, err := n.run(t, "node_modules/mocha/bin/mocha.js", "--exit", "node_modules/pusher/tests/remote/pusher/*.js")
	if err != nil || !strings.Contains(out, "7 passing") || strings.Contains(out, "failing") {
		t.Errorf("%v\n%s", err, out)
	}
	// and they bite: with a secret that is not the app's hardly anything passes
	n.env = []string{"PUSHER_URL=http://" + w.key + ":wrong@" + w.host + "/apps/" + w.appID}
	if out, err := n.run(t, "node_modules/mocha/bin/mocha.js", "--exit", "--timeout", "1000", "node_modules/pusher/tests/remote/pusher/trigger.js"); err == nil || !strings.Contains(out, "2 failing") {
		t.Errorf("with a wrong secret: %v\n%s", err, out)
	}
}

// TestEcho: Laravel's Echo with pusher-js: two people in a room see each other
// come and go, and whisper.
func TestEcho(t *testing.T) {
	t.Parallel()
	w := startSuite(t)
	host, number, _ := strings.Cut(w.host, ":")
	n := node{env: []string{"ECHO_KEY=" + suiteKey, "ECHO_HOST=" + host, "ECHO_PORT=" + number, "ECHO_AUTH=" + w.appServer(suiteKey).URL + "/auth"}}
	out, err := n.run(t, "echo.mjs")
	want := "here 1\nthere\nwhisper hello\nmessage 1\nleaving\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
}
