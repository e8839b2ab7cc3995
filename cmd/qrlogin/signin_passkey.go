package main

import (
	"io"
	"net/http"
	"strings"
)

// postPasskeyBegin and postPasskeyFinish sign a browser in by passkey, without a
// name or a password.
func (a *app) postPasskeyBegin(w http.ResponseWriter, r *http.Request) {
	address := "passkey " + a.ip(r).String()
	if a.tries.blocked(address) > 0 {
		jsonFault(w, http.StatusTooManyRequests, "Too many tries. Please wait some minutes.")
		return
	}
	options, ceremony, err := a.passkeys.beginSignIn()
	if err != nil {
		a.o.log.Error("a passkey could not be asked for", "error", err)
		jsonFault(w, http.StatusInternalServerError, "Something went wrong.")
		return
	}
	a.startCeremony(w, r, options, ceremony)
}

func (a *app) postPasskeyFinish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		jsonFault(w, http.StatusBadRequest, "The request was cut off.")
		return
	}
	u, err := a.passkeys.finishSignIn(a.ceremony(r), body)
	if err != nil {
		a.tries.fail("passkey " + a.ip(r).String())
		a.o.log.Info("a passkey was refused", "ip", a.ip(r).String(), "error", err)
		jsonFault(w, http.StatusUnauthorized, "This passkey is not known here.")
		return
	}
	if err := a.begin(w, r, session{User: u.ID, Via: "Passkey"}); err != nil {
		jsonFault(w, http.StatusForbidden, err.Error())
		return
	}
	jsonAnswer(w, http.StatusOK, map[string]string{"name": u.Name, "next": "/"})
}

// strong is the session of the request if it may change what signs people in:
// one that was let in by another device may not, until its user has signed in
// here.
func (a *app) strong(w http.ResponseWriter, r *http.Request) (session, bool) {
	s, ok := a.current(r)
	if !ok {
		jsonFault(w, http.StatusUnauthorized, "Sign in first.")
		return s, false
	}
	if s.limited() {
		jsonFault(w, http.StatusForbidden, "This device was let in by another one. Sign in here with your password or passkey to change how you sign in.")
		return s, false
	}
	return s, true
}

func (a *app) postAddBegin(w http.ResponseWriter, r *http.Request) {
	s, ok := a.strong(w, r)
	if !ok {
		return
	}
	u, _ := a.users.get(s.User)
	options, ceremony, err := a.passkeys.beginAdd(u)
	if err != nil {
		a.o.log.Error("a passkey could not be asked for", "error", err)
		jsonFault(w, http.StatusInternalServerError, "Something went wrong.")
		return
	}
	a.startCeremony(w, r, options, ceremony)
}

func (a *app) postAddFinish(w http.ResponseWriter, r *http.Request) {
	s, ok := a.strong(w, r)
	if !ok {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		jsonFault(w, http.StatusBadRequest, "The request was cut off.")
		return
	}
	u, _ := a.users.get(s.User)
	if err := a.passkeys.finishAdd(u, a.ceremony(r), strings.TrimSpace(s.Label), body); err != nil {
		a.o.log.Info("a passkey was not added", "error", err)
		jsonFault(w, http.StatusBadRequest, "The passkey could not be added. Try again.")
		return
	}
	a.note(s.User, "passkey_added", s.Label, a.ip(r).String())
	jsonAnswer(w, http.StatusOK, map[string]string{"next": "/"})
}

// postRemove removes a passkey. Other devices stay signed in; the page offers to
// end them.
func (a *app) postRemove(w http.ResponseWriter, r *http.Request) {
	s, ok := a.strong(w, r)
	if !ok {
		return
	}
	id, found := r.PathValue("id"), false
	err := a.users.change(s.User, func(u *user) {
		kept := u.Passkeys[:0]
		for _, k := range u.Passkeys {
			if k.ID == id {
				found = true
				continue
			}
			kept = append(kept, k)
		}
		u.Passkeys = kept
	})
	switch {
	case err != nil:
		a.o.log.Error("a passkey could not be removed", "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
	case !found:
		http.Error(w, "There is no such passkey.", http.StatusNotFound)
	default:
		a.note(s.User, "passkey_removed", s.Label, a.ip(r).String())
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}
