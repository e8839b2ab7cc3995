package qraudit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// pushSite is where the answer says that Fanfare is.
func (p *probe) pushSite(a answer) string {
	if u := a.str("fanfare_url"); u != "" {
		return u
	}
	return p.base.String()
}

// listen asks for a channel's events and says how that was answered. A stream
// that begins is left at once.
func (p *probe) listen(site, channel, token string) int {
	e := p.open(site, channel, token)
	defer e.close()
	return e.status
}

// ear is a stream of events that is open: all that came, as text. close ends it.
type ear struct {
	status int
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	text   strings.Builder
	news   chan struct{}
}

func (p *probe) open(site, channel, token string) *ear {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Minute)
	e := &ear{cancel: cancel, done: make(chan struct{}), news: make(chan struct{}, 1)}
	resp, err := p.stream(ctx, site, channel, token)
	if err != nil {
		p.failed = withoutPath(err)
		close(e.done)
		return e
	}
	e.status = resp.StatusCode
	go func() {
		defer close(e.done)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxAnswer)
		for lines.Scan() {
			e.mu.Lock()
			e.text.WriteString(lines.Text() + "\n")
			e.mu.Unlock()
			select {
			case e.news <- struct{}{}:
			default:
			}
		}
	}()
	return e
}

func (p *probe) stream(ctx context.Context, site, channel, token string) (*http.Response, error) {
	if err := p.turn(); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, site+"/v1/sse?channel="+url.QueryEscape(channel), nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	endless := *p.client
	endless.Timeout = 0
	return endless.Do(r)
}

// heard waits until part came, or for so long, and returns all that came.
func (e *ear) heard(part string, atMost time.Duration) string {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		e.mu.Lock()
		text := e.text.String()
		e.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		select {
		case <-e.news:
		case <-e.done:
			return text
		case <-timer.C:
			return text
		}
	}
}

func (e *ear) close() {
	e.cancel()
	<-e.done
}

func checkChannels(p *probe, r *result) {
	mine, other := p.shared(0), p.shared(1)
	a, b := mine.begun, other.begun
	site, channel, token := p.pushSite(a), a.str("channel"), a.str("channel_token")
	r.want(!strings.Contains(channel, mine.ticket) && !strings.Contains(channel, mine.id), "the channel is named by what the code or the page shows")
	tokenSays(r, token)
	own := p.listen(site, channel, token)
	if own != http.StatusOK {
		if p.failed == nil {
			r.fault("its own channel: status %d from %s", own, site)
		}
		return
	}
	for what, status := range map[string]int{
		"without a token": p.listen(site, channel, ""), "by another attempt's token": p.listen(site, channel, b.str("channel_token")), "by half a token": p.listen(site, channel, token[:len(token)/2]),
		"by the ticket": p.listen(site, channel, mine.ticket), "qr:* by its token": p.listen(site, "qr:*", token), "* by its token": p.listen(site, "*", token),
		"another attempt's channel by its token": p.listen(site, b.str("channel"), token), "the records by its token": p.listen(site, "qrs:"+mine.id, token),
	} {
		r.want(status != http.StatusOK, "listening %s is let through", what)
	}
	said := p.send(call{method: "POST", path: "/v1/messages", site: site, body: map[string]any{"channel": channel, "event": "approved", "data": map[string]any{"seq": 9, "state": "approved"}}, header: map[string]string{"Authorization": "Bearer " + token}})
	r.want(said.status/100 != 2, "whoever may listen may publish, too")
}

// tokenSays reads what a channel's token allows.
func tokenSays(r *result, token string) {
	parts := strings.Split(token, ".")
	var c struct {
		Expires int64 `json:"exp"`
		Grants  struct {
			Subscribe []string `json:"subscribe"`
			Publish   []string `json:"publish"`
		} `json:"grants"`
	}
	if len(parts) != 3 {
		return // not a JWT: what it does is tried
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &c) != nil {
		return
	}
	left := time.Until(time.Unix(c.Expires, 0))
	r.want(left < 30*time.Minute, "the channel's token lasts %v", left.Round(time.Minute))
	r.want(len(c.Grants.Publish) == 0, "the channel's token may publish")
	r.want(len(c.Grants.Subscribe) == 1 && !strings.Contains(strings.Join(c.Grants.Subscribe, ""), "*"), "the channel's token is for more than one channel")
}
