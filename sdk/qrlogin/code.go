package qrlogin

import (
	"fmt"
	"net/url"
	"strings"

	"rsc.io/qr"
)

// quiet is the white border that readers need, in modules (ISO/IEC 18004).
const quiet = 4

// ticketURL is what the QR code says. In upper case it fits QR's alphanumeric
// mode and the code gets smaller; scheme and host are case-insensitive (RFC
// 3986, 6.2.2.1) and our path is served in both cases. Where the base has a
// path or characters that this mode lacks, it stays as it is.
func ticketURL(base *url.URL, ticket string, keepCase bool) string {
	plain := strings.TrimSuffix(base.String(), "/") + "/q/" + ticket
	if keepCase || strings.Trim(base.Path, "/") != "" {
		return plain
	}
	upper := strings.ToUpper(plain)
	if strings.Trim(upper, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:") != "" {
		return plain
	}
	return upper
}

// drawQR draws text as an SVG: dark on a white plate in any theme, since
// readers fail on inverted codes. Level M.
func drawQR(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("drawing the QR code: %w", err)
	}
	side := code.Size + 2*quiet
	b := fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#111" d="`, side, side, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; {
			run := 0
			for code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				b = fmt.Appendf(b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += run + 1
		}
	}
	return append(b, `"/></svg>`...), nil
}
