package goeasy

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fanfarehq/fanfare/broker/tenant"
	"github.com/fanfarehq/fanfare/sdk/protocol"
)

const (
	maxUser = 128 // bytes
	maxData = 300 // characters, as their clients check, too
)

// identity is what a client says of itself. What it tells of its machine is
// neither read nor kept.
type identity struct {
	Key      string          `json:"appkey"`
	User     json.RawMessage `json:"userId"`
	Data     json.RawMessage `json:"userData"`
	OTP      string          `json:"otp"`
	Version  string          `json:"artifactVersion"`
	Session  string          `json:"sid"`
	Anywhere struct {
		Version string `json:"v"`
	} `json:"c"`
}

// welcome is the answer to a client that is let in.
type welcome struct {
	answer
	Session   string   `json:"sid"`
	Modules   struct{} `json:"mD"` // clients want an object
	Publish   bool     `json:"enablePublish"`
	Subscribe bool     `json:"enableSubscribe"`
}

// authorize lets a client in. It may come twice on one connection.
func (s *speaker) authorize(c call) error {
	var id identity
	if err := read(c.body, &id); err != nil {
		s.reply(c, refusal(err))
		return s.mistake()
	}
	who, err := s.identify(&id)
	if err == nil && s.pass == nil {
		err = s.enter(who, id.Session)
	}
	switch {
	case err == nil:
		s.reply(c, welcome{answer: okay(nil), Session: s.sid, Publish: s.writes, Subscribe: true})
		s.watchAgain()
		return nil
	case passing(err):
		return protocol.AsError(err) // closed: the client comes back by itself
	}
	s.door.refused(err)
	s.reply(c, refusal(err))
	return s.mistake()
}

// identify checks what a client says of itself.
func (s *speaker) identify(id *identity) (client, error) {
	pass, err := s.door.o.Keys.Pass(tenant.DoorGoEasy, id.Key)
	if err != nil {
		return client{}, unknownKey(err)
	}
	c := client{pass: pass, key: id.Key}
	if c.user, err = userOf(id.User); err != nil {
		return c, err
	}
	if c.data, err = dataOf(id.Data); err != nil {
		return c, err
	}
	version := id.Version
	if id.Anywhere.Version != "" {
		version = id.Anywhere.Version
	}
	c.isOld, c.oldest = before(version, 2, 7), before(version, 2, 0)
	if s.pass != nil { // again
		if pass.App != s.pass.App || id.Key != s.key || c.user != s.user {
			return c, protocol.Errorf(protocol.CodeTokenMismatch, "This connection belongs to another key or user already.")
		}
		return c, nil
	}
	switch pass.Role {
	case tenant.RoleCommon:
		c.writes = true
	case tenant.RoleClient:
		c.writes, c.otp = true, id.OTP
		err = s.checkOTP(pass, id)
	case tenant.RoleSubscribe:
	default:
		e := protocol.Errorf(protocol.CodeKeyKind, "This key is for servers.")
		e.Remedy = "Connect with the common key, the subscribe key or the client key."
		err = e
	}
	return c, err
}

// unknownKey is the error of a key that opens nothing. One whose door is
// closed is told no more than that of nobody's key.
func unknownKey(err error) error {
	switch protocol.AsError(err).Code {
	case protocol.CodeKeyInvalid, protocol.CodeDoorClosed, protocol.CodeAppNotFound:
		e := protocol.Errorf(protocol.CodeBadRequest, "appkey is invalid.")
		e.Remedy = "Take the key from fanfare door list, and see that the app's GoEasy door is open."
		return e
	}
	return err
}

// checkOTP takes a one-time password once, and again from who has had a
// connection with it: clients send the same one when they come back.
func (s *speaker) checkOTP(pass *tenant.Pass, id *identity) error {
	made, err := readOTP(string(pass.Secret), id.OTP)
	if err != nil {
		return protocol.Errorf(protocol.CodeTokenInvalid, "The otp was not made with the app's secret key.")
	}
	if s.door.memory.otp(s.sess.Context(), pass.App, id.Session) == id.OTP {
		return nil
	}
	if age := time.Since(made); age > otpAge || age < -otpAge {
		return protocol.Errorf(protocol.CodeTokenExpired, "The otp was made at %s.", made.UTC().Format(time.RFC3339))
	}
	first, err := s.door.o.Keys.Once(s.sess.Context(), "otp "+string(pass.App)+" "+id.OTP)
	if err != nil {
		return err
	}
	if !first {
		return protocol.Errorf(protocol.CodeTokenInvalid, "The otp was used before.")
	}
	return nil
}

// enter makes the connection the client's.
func (s *speaker) enter(c client, last string) error {
	all := []string{"*"}
	grants := protocol.Grants{Subscribe: all, History: all, Presence: all}
	if c.writes {
		grants.Publish = all
	}
	if err := s.sess.Authorise(c.pass.Guest(c.user, grants)); err != nil {
		return err
	}
	s.past = s.door.memory.take(s.sess.Context(), c.pass.App, last, c.user)
	c.sid = rand.Text()
	s.client = c
	s.door.memory.arrive(s)
	return nil
}

// userOf is who a client says it is.
func userOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var user string
	if raw[0] != '"' {
		var n json.Number // 1.x lets apps give a number
		if err := json.Unmarshal(raw, &n); err != nil {
			return "", badCall("The id must be a string.")
		}
		user = n.String()
	} else if err := json.Unmarshal(raw, &user); err != nil {
		return "", badCall("The id must be a string.")
	}
	if len(user) > maxUser {
		return "", badCall("The id has %d bytes; %d is the most.", len(user), maxUser)
	}
	if _, err := protocol.ParseChannel(user); err != nil && user != "" { // the same signs are allowed
		return "", badCall("The id has signs in it that are none, or control characters.")
	}
	return user, nil
}

// dataOf is what a client tells of its user: JSON in a string, or a text that
// is no JSON.
func dataOf(raw json.RawMessage) (json.RawMessage, error) {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null" || string(raw) == `""`:
		return nil, nil
	case raw[0] != '"':
		text = string(raw)
	default:
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, badCall("The data is not valid.")
		}
	}
	if utf8.RuneCountInString(text) > maxData {
		return nil, badCall("The data has more than %d characters.", maxData)
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	return encode(text), nil
}

// before reports whether a client's version is before another. What is no
// version is new.
func before(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	m, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(second)
	return err == nil && (m < major || m == major && n < minor)
}

// refused counts a refusal.
func (d *Door) refused(err error) {
	d.o.Stats.Refused(protocol.AsError(err).Code)
}
