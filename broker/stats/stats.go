package stats

import (
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// other stands for a label value that is outside the known set.
const other = "other"

// Stats holds the counters of one node. All methods may be called
// concurrently; none blocks. It has a registry of its own, so that several
// servers in one process do not mix, and needs no closing.
type Stats struct {
	registry *prometheus.Registry
	codes    map[protocol.Code]string // the label values that codes may have; read-only

	connections   *prometheus.GaugeVec
	opened        *prometheus.CounterVec
	closed        *prometheus.CounterVec
	published     prometheus.Counter
	delivered     prometheus.Counter
	subscriptions prometheus.Gauge
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	refused       *prometheus.CounterVec
	tries         *prometheus.CounterVec
	events        *prometheus.CounterVec

	apps     meters[protocol.AppID]
	accounts meters[protocol.AccountID]
}

// meters are a sync.Map of K to *Meter.
type meters[K comparable] struct{ sync.Map }

// New makes the counters, all at zero, with the collectors of the Go runtime
// and of the process beside them.
func New() *Stats {
	s := &Stats{
		registry:      prometheus.NewRegistry(),
		codes:         map[protocol.Code]string{},
		connections:   gauges("connections", "Realtime connections open now.", "door"),
		opened:        counters("connections_opened_total", "Realtime connections that were opened.", "door"),
		closed:        counters("connections_closed_total", "Realtime connections that ended, by the code that ended them; none where the client left by itself.", "door", "code"),
		published:     counter("messages_published_total", "Messages that were published on this node."),
		delivered:     counter("messages_delivered_total", "Messages that were handed to a connection of this node."),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fanfare", Name: "subscriptions", Help: "Subscriptions of this node's connections now."}),
		requests:      counters("http_requests_total", "HTTP requests answered, by route pattern.", "route", "method", "status"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "fanfare", Name: "http_request_duration_seconds", Help: "Time to answer an HTTP request, by route pattern.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		refused: counters("refused_total", "Requests and commands that were refused, by error code.", "code"),
		tries:   counters("webhook_tries_total", "Times that an event was sent to a webhook's receiver, by result: ok, failed.", "result"),
		events:  counters("webhook_events_total", "Events for webhooks, by what became of them: delivered, retried (each time that one is put off after a try), given_up, thrown_away.", "outcome"),
	}
	for _, c := range protocol.Codes() {
		s.codes[c] = string(c)
	}
	version := "unknown"
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		version = bi.Main.Version
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "fanfare", Name: "build_info", Help: "What is running; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	info.Set(1)
	s.registry.MustRegister(
		info, s.connections, s.opened, s.closed, s.published, s.delivered, s.subscriptions, s.requests, s.duration, s.refused, s.tries, s.events,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return s
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "fanfare", Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "fanfare", Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "fanfare", Name: name, Help: help}, labels)
}

// Handler serves the counters in the Prometheus text format. It asks for no
// credential: who mounts it decides who may see it.
func (s *Stats) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(slog.Default().Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// Connected counts a connection that opened on door ("ws", "sse").
func (s *Stats) Connected(door string) {
	s.connections.WithLabelValues(door).Inc()
	s.opened.WithLabelValues(door).Inc()
}

// Disconnected counts the end of a connection that Connected counted. code is
// what ended it, "" where the client left by itself.
func (s *Stats) Disconnected(door string, code protocol.Code) {
	s.connections.WithLabelValues(door).Dec()
	s.closed.WithLabelValues(door, s.code(code)).Inc()
}

// Published counts n messages that were published.
func (s *Stats) Published(n int) { s.published.Add(float64(max(n, 0))) }

// Delivered counts n messages that were handed to connections.
func (s *Stats) Delivered(n int) { s.delivered.Add(float64(max(n, 0))) }

// Subscribed adds d to the number of subscriptions: 1 or -1, or more at once
// when a connection ends.
func (s *Stats) Subscribed(d int) { s.subscriptions.Add(float64(d)) }

// Request counts an answered HTTP request. route must be the route's pattern,
// never the path that the client sent.
func (s *Stats) Request(route, method string, status int, took time.Duration) {
	s.requests.WithLabelValues(route, Method(method), strconv.Itoa(status)).Inc()
	s.duration.WithLabelValues(route).Observe(took.Seconds())
}

// WebhookTry counts an event that was sent to a receiver.
func (s *Stats) WebhookTry(ok bool) {
	if ok {
		s.tries.WithLabelValues("ok").Inc()
		return
	}
	s.tries.WithLabelValues("failed").Inc()
}

// WebhookOutcome is what became of an event for a webhook.
type WebhookOutcome string

// The outcomes.
const (
	WebhookDelivered  WebhookOutcome = "delivered"
	WebhookRetried    WebhookOutcome = "retried"     // put off after a try; counted each time
	WebhookGivenUp    WebhookOutcome = "given_up"    // after the last try, or where the receiver is gone
	WebhookThrownAway WebhookOutcome = "thrown_away" // too many waited already
)

// WebhookEvent counts what became of an event for one webhook.
func (s *Stats) WebhookEvent(o WebhookOutcome) { s.events.WithLabelValues(string(o)).Inc() }

// Webhooks has the counters ask fn, at each reading, how many events wait and
// how many webhooks are disabled. It may be called once.
func (s *Stats) Webhooks(fn func() (waiting, disabled int)) {
	gauge := func(name, help string, of func() int) {
		s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "fanfare", Name: name, Help: help}, func() float64 { return float64(of()) }))
	}
	gauge("webhook_events_waiting", "Events that wait to be sent to webhooks, those that are to be tried again included.", func() int { n, _ := fn(); return n })
	gauge("webhook_endpoints_disabled", "Webhooks that are disabled, by hand or because their receiver answered 410.", func() int { _, n := fn(); return n })
}

// Refused counts a request or a command that was answered with an error.
func (s *Stats) Refused(code protocol.Code) { s.refused.WithLabelValues(s.code(code)).Inc() }

// code bounds the label: what is not in the table of codes is "other".
func (s *Stats) code(c protocol.Code) string {
	if c == "" {
		return "none"
	}
	if l, ok := s.codes[c]; ok {
		return l
	}
	return other
}

// Method bounds a label: a client may send any word as method, and those that
// HTTP does not have are "other".
func Method(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return other
}
