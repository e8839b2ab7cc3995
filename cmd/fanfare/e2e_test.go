package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// TestWelcomeCanBePasted pastes what the server prints into real shells, in
// another folder, and wants the message to go from one to the other.
func TestWelcomeCanBePasted(t *testing.T) {
	s := serve(t)
	for _, want := range []string{s.url, "ws" + strings.TrimPrefix(s.url, "http") + "/v1/ws", s.url + "/dashboard/#code=", "publishable key  ffp_", "secret key       ffs_", "demo"} {
		if !strings.Contains(s.welcome, want) {
			t.Errorf("the welcome has no %q:\n%s", want, s.welcome)
		}
	}
	secret := readEnvFile(s.dir + "/demo.env").values["FANFARE_SECRET_KEY"]
	if strings.Contains(s.welcome, secret) {
		t.Error("the whole secret key went to what is no terminal")
	}
	if strings.Contains(s.welcome, "\x1b") {
		t.Error("colours went to what is no terminal")
	}
	listen, send, ok := strings.Cut(indented(s.welcome, "  . "), "\n---\n")
	if !ok {
		t.Fatalf("the welcome has no two things to paste:\n%s", s.welcome)
	}
	stream := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(listen, "curl", "exec curl -s", 1))
	stream.Dir, stream.Env = t.TempDir(), []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	out, err := stream.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Process.Kill(); stream.Wait() })
	lines := bufio.NewScanner(out)
	next := func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return rest
			}
		}
		t.Fatalf("the stream ended before %q", prefix)
		return ""
	}
	next("event: subscribed")
	next("data: ")
	publish := exec.CommandContext(t.Context(), "sh", "-c", send)
	publish.Dir, publish.Env = t.TempDir(), stream.Env
	if answer, err := publish.Output(); err != nil || !strings.Contains(string(answer), `"id":`) {
		t.Fatalf("publish: %v %s", err, answer)
	}
	var m protocol.Message
	if err := json.Unmarshal([]byte(next("data: ")), &m); err != nil {
		t.Fatal(err)
	}
	if m.Channel != "hello" || string(m.Data) != `{"n":1}` {
		t.Errorf("got %+v", m)
	}
}

// indented takes the indented blocks that begin with first out of text, with
// --- between them.
func indented(text, first string) string {
	var blocks []string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, first):
			blocks, in = append(blocks, strings.TrimSpace(line)), true
		case in && strings.HasPrefix(line, "  "):
			blocks[len(blocks)-1] += "\n" + strings.TrimSpace(line)
		default:
			in = false
		}
	}
	return strings.Join(blocks, "\n---\n")
}

func TestSecondStartKeepsWhatTheFirstMade(t *testing.T) {
	s := serve(t)
	before := readEnvFile(s.dir + "/demo.env").values
	s.ok(t, "app", "create", "shop")
	if status, said := s.stop(); status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	again := serveIn(t, s.dir)
	after := readEnvFile(s.dir + "/demo.env").values
	for _, name := range []string{"FANFARE_APP", "FANFARE_SECRET_KEY", "FANFARE_PUBLISHABLE_KEY"} {
		if before[name] == "" || before[name] != after[name] {
			t.Errorf("%s was %q and is %q", name, before[name], after[name])
		}
	}
	if list := again.ok(t, "app", "list"); !strings.Contains(list, "shop") || !strings.Contains(list, "demo") {
		t.Errorf("the apps are gone: %s", list)
	}
}

func TestApps(t *testing.T) {
	s := serve(t)
	out := s.ok(t, "app", "create", "shop", "--connections", "7", "--rules", `[{"namespace":"chat","echo":false}]`)
	for _, want := range []string{"shop", "connections              7", "message_bytes            65536", `{"namespace":"chat","echo":false}`} {
		if !strings.Contains(out, want) {
			t.Errorf("create shows no %q:\n%s", want, out)
		}
	}
	s.fails(t, 1, "[name_taken]", "app", "create", "shop")
	s.ok(t, "app", "update", "shop", "--name", "store", "--publish-per-second", "9")
	s.fails(t, 1, `there is no app "shop"`, "app", "show", "shop")
	var app appInfo
	fromJSON(t, s.ok(t, "app", "show", "store", "--json"), &app)
	if app.Name != "store" || app.Limits["publish_per_second"] != 9 || app.Limits["connections"] != 7 {
		t.Errorf("after the update: %+v", app)
	}
	fromJSON(t, s.ok(t, "app", "show", app.ID, "--json"), &app) // by its id, too
	s.fails(t, 2, "nothing to change", "app", "update", "store")
	s.fails(t, 2, "not valid JSON", "app", "update", "store", "--rules", "{")
	s.fails(t, 2, "--yes", "app", "delete", "store")
	if list := s.ok(t, "app", "list"); !strings.Contains(list, "store") {
		t.Errorf("deleted without a yes: %s", list)
	}
	s.ok(t, "app", "delete", "store", "--yes")
	var list struct{ Apps []appInfo }
	fromJSON(t, s.ok(t, "app", "list", "--json"), &list)
	if len(list.Apps) != 1 || list.Apps[0].Name != "demo" {
		t.Errorf("left are %+v", list)
	}
}

// claims: 8.1 8.8 9.6
func TestKeys(t *testing.T) {
	s := serve(t)
	s.ok(t, "app", "create", "shop")
	s.env = append(s.env, "FANFARE_APP=shop")
	r := s.run(t, "key", "create", "--kind", "secret", "--name", "backend", "--expires", "30d")
	if r.status != 0 || !strings.Contains(r.stderr, "not shown again") {
		t.Fatalf("status %d, stderr %q: no word of warning", r.status, r.stderr)
	}
	var secret, public, next keyInfo
	fromJSON(t, s.ok(t, "key", "create", "--kind", "secret", "--json"), &secret)
	fromJSON(t, s.ok(t, "key", "create", "--subscribe", "a,b:*", "--subscribe", "c", "--origin", "https://a.example", "--json"), &public)
	if len(secret.Text) != 52 || secret.Text[:14] != secret.ID {
		t.Errorf("the secret key is %+v", secret)
	}
	if len(public.Grants.Subscribe) != 2 || public.Grants.Subscribe[0] != "a,b:*" || public.Origins[0] != "https://a.example" {
		t.Errorf("the publishable key is %+v", public)
	}
	list := s.ok(t, "key", "list")
	if strings.Contains(list, secret.Text) || !strings.Contains(list, public.Text) || !strings.Contains(list, "backend") || !strings.Contains(list, "in 30 days") {
		t.Errorf("the list is\n%s", list)
	}
	if out := s.ok(t, "key", "show", secret.Text); strings.Contains(out, secret.Text) || !strings.Contains(out, secret.ID) {
		t.Errorf("show shows %s", out)
	}
	fromJSON(t, s.ok(t, "key", "rotate", secret.ID, "--grace", "1m", "--json"), &next)
	s.ok(t, "pub", "x", "1", "--key", secret.Text) // within the grace
	s.ok(t, "pub", "x", "1", "--key", next.Text)
	s.fails(t, 2, "--yes", "key", "revoke", next.ID)
	s.ok(t, "key", "revoke", next.ID, "--yes")
	s.fails(t, 1, "[key_expired]", "pub", "x", "1", "--key", next.Text)
	if list := s.ok(t, "key", "list"); !strings.Contains(list, "revoked ") {
		t.Errorf("the list does not tell a revoked key:\n%s", list)
	}
	s.fails(t, 1, "[key_not_found]", "key", "show", "ffs_0000000000")
	s.fails(t, 1, "[key_kind]", "app", "list", "--account-token", secret.Text)
}

// claims: 8.3 8.4 9.5
func TestTokens(t *testing.T) {
	s := serve(t)
	r := s.run(t, "token", "create", "--user", "ann", "--publish", "x", "--ttl", "15m")
	token := strings.TrimSpace(r.out)
	if r.status != 0 || strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \n") {
		t.Fatalf("stdout is not a token alone: %q %s", r.out, r.stderr)
	}
	s.ok(t, "pub", "x", "1", "--key", token)
	s.fails(t, 1, "[not_granted]", "pub", "y", "1", "--key", token)
	s.stdin = strings.NewReader(token + "\n")
	shown := s.ok(t, "token", "show", "-")
	for _, want := range []string{"HS256", "ffs_", "ann", "publish x", "in 15 min"} {
		if !strings.Contains(shown, want) {
			t.Errorf("show has no %q:\n%s", want, shown)
		}
	}
	var raw struct{ Header, Claims map[string]any }
	fromJSON(t, s.ok(t, "token", "show", token, "--json"), &raw)
	if raw.Claims["sub"] != "ann" {
		t.Errorf("--json shows %+v", raw)
	}
	for _, bad := range []string{"", "a.b", "a.b.c", "e30.W10.x", "e30.!.x"} {
		s.fails(t, 2, "this is no token", "token", "show", bad)
	}
}

func TestPubAndSub(t *testing.T) {
	s := serve(t)
	ready, out := s.listen(t, "sub", "a", "b", "--json", "--count", "6")
	<-ready
	s.ok(t, "pub", "a", `{"n": "<1>"}`)
	s.ok(t, "pub", "b", "good morning", "--event", "greet", "--id", "one")
	s.stdin = strings.NewReader("1\n\nplain\n[2]\n")
	if said := s.ok(t, "pub", "a", "-"); said != "published 3 messages to a\n" {
		t.Errorf("pub - said %q", said)
	}
	s.stdin = nil
	s.ok(t, "pub", "a", "\u202eevil\u009b")
	var got []string
	for line := range strings.Lines(<-out) {
		var m protocol.Message
		fromJSON(t, line, &m)
		got = append(got, string(m.Channel)+" "+m.Event+" "+string(m.Data))
	}
	want := []string{`a  {"n":"<1>"}`, `b greet "good morning"`, `a  1`, `a  "plain"`, `a  [2]`, `a  "\u202eevil\u009b"`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSubShowsPeople: one line a message, and nothing in it steers the terminal.
func TestSubShowsPeople(t *testing.T) {
	s := serve(t)
	ready, out := s.listen(t, "sub", "a", "--count", "1", "--key", readEnvFile(s.dir + "/demo.env").values["FANFARE_PUBLISHABLE_KEY"])
	<-ready
	s.ok(t, "pub", "a", "\u202eevil\u009b", "--event", "greet")
	line := <-out
	if !strings.HasSuffix(line, "  a  greet  \"\\u202eevil\\u009b\"\n") || strings.Count(line, "\n") != 1 || line[2] != ':' {
		t.Errorf("the line is %q", line)
	}
}

// TestPubGoesOutAtOnce: a line is published when it is there, not when the
// input ends.
func TestPubGoesOutAtOnce(t *testing.T) {
	s := serve(t)
	ready, out := s.listen(t, "sub", "a", "--count", "1", "--json")
	<-ready
	in, line := io.Pipe()
	publisher := s.shell
	publisher.stdin = in
	done := make(chan result, 1)
	go func() { done <- publisher.run(t, "pub", "a", "-", "--json") }()
	io.WriteString(line, "7\n")
	if got := <-out; !strings.Contains(got, `"data":7`) {
		t.Errorf("got %q", got)
	}
	line.Close()
	if r := <-done; r.status != 0 || strings.Count(r.out, `"id"`) != 1 {
		t.Errorf("pub: %+v", r)
	}
}

// TestPubWaitsForTheRate: more lines than the app's rate allows all arrive.
//
// claims: 9.9
func TestPubWaitsForTheRate(t *testing.T) {
	s := serve(t)
	s.ok(t, "app", "update", "demo", "--publish-per-second", "300")
	s.stdin = strings.NewReader(strings.Repeat("1\n", 700))
	if said := s.ok(t, "pub", "a", "-"); said != "published 700 messages to a\n" {
		t.Errorf("pub said %q", said)
	}
}

// listen runs a subscribing command; ready is closed when it is subscribed,
// and out has what it wrote when it has ended.
func (s *served) listen(t *testing.T, args ...string) (ready chan struct{}, out chan string) {
	t.Helper()
	ready, out = make(chan struct{}), make(chan string, 1)
	stderrR, stderrW := io.Pipe()
	go func() {
		lines := bufio.NewScanner(stderrR)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "listening to ") {
				close(ready)
			}
		}
	}()
	go func() {
		var b strings.Builder
		if status := run(t.Context(), args, strings.NewReader(""), &b, stderrW, s.env); status != 0 {
			t.Errorf("fanfare %s: status %d", strings.Join(args, " "), status)
		}
		stderrW.Close()
		out <- b.String()
	}()
	return ready, out
}

func TestLink(t *testing.T) {
	s := serve(t)
	link := s.ok(t, "link")
	if !strings.HasPrefix(link, s.url+"/dashboard/#code=") || strings.Count(link, "\n") != 1 {
		t.Errorf("the link is %q", link)
	}
	if another := s.ok(t, "link"); another == link {
		t.Error("the same link twice")
	}
}

func fromJSON(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// TestInterrupted: who presses Ctrl-C is told so by the exit status, also
// while the input waits for a line that never comes.
func TestInterrupted(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, line := io.Pipe()
	defer line.Close()
	var out, stderr strings.Builder
	go func() {
		io.WriteString(line, "1\n") // it is read, so pub runs
		cancel()
	}()
	if status := run(ctx, []string{"pub", "a", "-"}, in, &out, &stderr, s.env); status != 130 || stderr.String() != "fanfare: interrupted\n" {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
}
