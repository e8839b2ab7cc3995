package api

import (
	"encoding/json"
	"net/http"

	"github.com/fanfarehq/fanfare/sdk/protocol"
)

// WriteError answers w with err as this door does (clause 9.2). It is for the
// doors beside this one, before their streams begin.
func WriteError(w http.ResponseWriter, err error) {
	p := newProblem(protocol.AsError(err), "")
	p.dress(w.Header())
	b, err := json.Marshal(p)
	if err != nil { // a struct of strings and numbers always marshals
		b = []byte("{}")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
}
