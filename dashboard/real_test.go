package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/fanfarehq/fanfare/broker/brokertest"
)

// TestRealServer walks the page against a real node with the real SDK: the
// link that the first start prints, a message that a server publishes, one
// that the page publishes with a key that it made.
func TestRealServer(t *testing.T) {
	s, b := brokertest.Start(t), newBrowser(t)
	b.look("light", 1200, 900)
	b.do("open the link", chromedp.Navigate(s.Link))
	b.shows(s.PublishableKey)
	b.named()
	b.fits()

	b.do("channel", chromedp.Clear(`#channel`), chromedp.SendKeys(`#channel`, "news:ü & <b>\r"))
	b.shows("Listening to news:ü & <b>")
	publish(t, s, `{"channel":"news:ü & <b>","event":"sale","data":{"markup":"<img src=x onerror=alert(1)>"}}`)
	b.shows(`"markup": "<img src=x onerror=alert(1)>"`)
	b.click("Publish")
	b.click("Let this page publish for an hour")
	b.shows("Published as")
	b.shows(`"hello": "world"`)
	b.shows("dashboard, temporary")
	b.shot("real-light")
	b.look("dark", 390, 800)
	b.fits()
	b.shot("real-dark-narrow")

	b.do("reload", chromedp.Reload())
	b.shows("dashboard, temporary") // the cookie holds
	b.click("Sign out")
	b.shows("You are signed out")
	b.do("the link again", chromedp.Navigate(s.Link))
	b.shows("This link cannot be used")
	b.quiet("401", "403")
}

// TestRealServerGoesAway shows that the page says so while the server is away,
// and comes back by itself.
func TestRealServerGoesAway(t *testing.T) {
	s, b := brokertest.Start(t), newBrowser(t)
	b.do("open the link", chromedp.Navigate(s.Link))
	b.shows(s.PublishableKey)
	b.click("Listen")
	b.shows("Listening to orders:42")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	b.shows("Reconnecting…")
	b.click("Publish")
	b.shows("The server does not answer.")
}

func publish(t *testing.T, s *brokertest.Server, message string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/v1/messages", strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.SecretKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("publish: %s", res.Status)
	}
}
