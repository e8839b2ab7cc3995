package api

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime"

	"github.com/danielgtaylor/huma/v2"
	"github.com/fanfarehq/fanfare/sdk/protocol"
	"github.com/labstack/echo/v4"
)

type health struct {
	Status string `json:"status" enum:"ok" doc:"ok"`
}

type versionAnswer struct {
	Version string `json:"version" doc:"Release"`
	Commit  string `json:"commit" doc:"Of the source; empty where it is not known"`
	Go      string `json:"go" doc:"Version of Go"`

	Durability string `json:"durability" enum:"interval,always" doc:"When an acknowledged message is on the disk: always before the answer, or within an interval of a second. It outlives a crash of the server either way"`
}

func (v Version) name() string {
	if v.Version == "" {
		return "dev"
	}
	return v.Version
}

func (d *door) healthRoutes(e *echo.Echo, api huma.API, o Options) {
	ok := health{"ok"}
	version := versionAnswer{o.Version.name(), o.Version.Commit, runtime.Version(), cmp.Or(o.Durability, "interval")}
	read := []string{http.MethodGet, http.MethodHead}
	e.Match(read, "/livez", func(c echo.Context) error { return fresh(c, ok) })
	e.Match(read, "/readyz", func(c echo.Context) error {
		if err := d.ready(c.Request().Context()); err != nil {
			if _, told := errors.AsType[*protocol.Error](err); told {
				return err
			}
			e := protocol.Errorf(protocol.CodeUnavailable, "This node cannot serve just now.")
			if Local(c.Request()) { // the names and addresses in it are nobody else's
				e.Message = "This node cannot serve just now: " + err.Error() + "."
			}
			return errors.Join(e, err)
		}
		return fresh(c, ok)
	})
	e.Match(read, "/version", func(c echo.Context) error { return fresh(c, version) })
	metrics := o.Stats.Handler()
	e.Match(read, "/metrics", func(c echo.Context) error {
		if !o.MetricsOpen && !Local(c.Request()) {
			p := protocol.Errorf(protocol.CodeNotFound, "Metrics are shown to clients on the server's own machine only.")
			p.Remedy = "Scrape from the same machine, or have the operator open the metrics."
			return p
		}
		metrics.ServeHTTP(c.Response(), c.Request())
		return nil
	})

	describe := func(id, path, summary, description string, v any) {
		api.OpenAPI().AddOperation(&huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"health"}, Summary: summary, Description: description,
			Security:  security(nil),
			Responses: map[string]*huma.Response{"200": jsonResponse("OK", schemaOf(api, v)), "default": problemResponse(api)}})
	}
	describe("live", "/livez", "Whether the process runs", "", ok)
	describe("ready", "/readyz", "Whether this node can serve", "503 while it starts, while it drains, and when its store is not well: send it no new clients.", ok)
	describe("version", "/version", "What is running", "", version)
}

// fresh answers with JSON that no cache may keep.
func fresh(c echo.Context, v any) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return answer(c, v)
}

// Local reports whether the client is on this machine. What comes through a
// proxy on this machine is not: it is a stranger's.
func Local(r *http.Request) bool {
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
