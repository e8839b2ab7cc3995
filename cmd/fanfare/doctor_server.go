package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	fanfare "github.com/fanfarehq/fanfare/sdk/go"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// reply is what the server said of itself.
type reply struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`

	Durability string `json:"durability"`

	took   time.Duration
	offset time.Duration // its clock less ours
	dated  bool          // it told its time
}

// server asks who answers at the URL.
func (p *patient) server(ctx context.Context) finding {
	began := time.Now()
	var r reply
	header, err := p.rest.ask(ctx, http.MethodGet, "/version", nil, &r)
	if err != nil {
		message, remedy := words(err)
		return fail(message, remedy)
	}
	r.took = time.Since(began)
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		// The header has whole seconds: half of one is added, and the answer
		// was written in the middle of the wait.
		r.offset, r.dated = at.Add(500*time.Millisecond).Sub(began.Add(r.took/2)), true
	}
	p.up = &r
	return ok("%s answers (%s)", p.rest.base, r.took.Round(100*time.Microsecond))
}

// words are an error's message and remedy.
func words(err error) (message, remedy string) {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e.Message + " [" + string(e.Code) + "]", e.Remedy
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.Message, f.Remedy
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time", "Look at the server's log, and at what is between here and there."
	}
	return err.Error(), ""
}

func (p *patient) ready(ctx context.Context) finding {
	if p.up == nil {
		return skip("no server answers")
	}
	if err := p.rest.do(ctx, http.MethodGet, "/readyz", nil, nil); err != nil {
		message, _ := words(err)
		return fail("the server is not ready: "+message, "It is starting or stopping, or its store is in trouble: look at its log.")
	}
	return ok("the server is ready")
}

// version compares the server with this binary.
func (p *patient) version(context.Context) finding {
	if p.up == nil {
		return skip("no server answers")
	}
	mine := buildVersion()
	if p.up.Version != mine.Version || (p.up.Commit != mine.Commit && p.up.Commit != "" && mine.Commit != "") {
		return warn(fmt.Sprintf("the server is %s, this is %s", label(p.up.Version, p.up.Commit), label(mine.Version, mine.Commit)), "Use the same version for both; restart a server that was updated.")
	}
	return ok("the server and this are both %s", label(mine.Version, mine.Commit))
}

// label is a version with the beginning of its commit.
func label(version, commit string) string {
	if len(commit) < 12 {
		return version
	}
	return version + " (" + commit[:12] + ")"
}

// clock compares the server's clock with this machine's: tokens are forgiven
// 5 s of difference and not more.
func (p *patient) clock(context.Context) finding {
	if p.up == nil || !p.up.dated {
		return skip("the server did not tell its time")
	}
	off := p.up.offset.Round(time.Second)
	if off.Abs() > 5*time.Second {
		return fail(fmt.Sprintf("the server's clock is %s off this machine's (%+d s); tokens fail by that", about(off.Abs()), int(off.Seconds())), "Let both machines set their clocks by NTP.")
	}
	return ok("the server's clock and this machine's agree")
}

// message sends one through the server and waits for it.
func (p *patient) message(ctx context.Context) finding {
	if p.up == nil {
		return skip("no server answers")
	}
	if err := p.cmd.need(p.con.Settings); err != nil {
		return skip("%s", err.Error())
	}
	took, err := p.roundTrip(ctx)
	if err != nil {
		message, remedy := words(err)
		if remedy == "" {
			remedy = "Look at the server's log."
		}
		return fail("a message did not come back: "+message, remedy)
	}
	return ok("published and received in %s", took.Round(100*time.Microsecond))
}

// roundTrip publishes on a channel that nobody else uses, and says how long
// the message took to come back to this machine.
func (p *patient) roundTrip(ctx context.Context) (time.Duration, error) {
	client, err := fanfare.New(p.cmd.URL, p.cmd.Key)
	if err != nil {
		return 0, err
	}
	channel := "fanfare-doctor:" + rand.Text()
	sub, err := client.Subscribe(ctx, channel)
	if err != nil {
		return 0, err
	}
	defer sub.Close()
	began := time.Now()
	if _, err := client.Publish(ctx, channel, map[string]string{"from": "fanfare doctor"}); err != nil {
		return 0, err
	}
	for m, err := range sub.All() {
		if err != nil {
			return 0, err
		}
		if string(m.Channel) == channel {
			return time.Since(began), nil
		}
	}
	return 0, errors.New("the stream ended before it")
}

// durability says what a crash would cost, which everybody should know before
// it happens.
func (p *patient) durability(context.Context) finding {
	if p.up == nil {
		return skip("no server answers")
	}
	switch p.up.Durability {
	case "always":
		return ok("always: a message that was acknowledged is on the disk, and survives a crash and a power cut")
	case "interval":
		return ok("interval: a message that was acknowledged survives a crash of the server; a power cut may cost those of the last second (serve --sync always). Accounts, apps and keys survive both")
	}
	return skip("the server did not tell how it keeps messages")
}
