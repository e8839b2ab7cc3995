package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
)

// assetRoutes serves what browsers load: the SDK, the dashboard, the front
// door.
func (d *door) assetRoutes(e *echo.Echo, api huma.API, o Options) {
	read := []string{http.MethodGet, http.MethodHead}
	if o.SDK != nil {
		for _, name := range []string{"fanfare.js", "fanfare.mjs"} {
			body, err := readAsset(o.SDK, name)
			if err != nil {
				d.log.Warn("the browser SDK is not in this build", "file", name, "error", err)
				continue
			}
			e.Match(read, "/sdk/"+name, script(name, body))
		}
	}
	front := func(c echo.Context) error {
		return c.String(http.StatusOK, "Fanfare. /v1/openapi.json says what there is.\n")
	}
	if o.Dashboard != nil {
		front = func(c echo.Context) error { return c.Redirect(http.StatusFound, "/dashboard/") }
		page := echo.WrapHandler(o.Dashboard)
		e.Any("/dashboard", page)
		e.Any("/dashboard/*", page)
	}
	e.Match(read, "/", front)
}

func readAsset(files fs.FS, name string) ([]byte, error) {
	body, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ReadFile(files, "dist/"+name)
	}
	return body, err
}

// script serves a file that pages of any site may load. Its name stays the
// same over releases, so browsers ask each time whether it changed. The ETag
// is a weak one, because the file also leaves compressed.
func script(name string, body []byte) echo.HandlerFunc {
	etag := etagOf(body)
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		http.ServeContent(c.Response(), c.Request(), name, time.Time{}, bytes.NewReader(body))
		return nil
	}
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}
