package protocol

import "time"

// Refusal is a request or command of an app that was answered with an error:
// what, and why. It holds no contents and no secrets.
type Refusal struct {
	Time    time.Time `json:"time" doc:"When it was"`
	Code    Code      `json:"code" doc:"Why, for programs"`
	Message string    `json:"message" doc:"Why, for people"`
	Remedy  string    `json:"remedy" doc:"What to do first"`
	Door    string    `json:"door" doc:"Where it came in: rest, ws, sse or another door's name"`
	What    string    `json:"what" doc:"The command, or the method and the pattern of the route"`
	Channel Channel   `json:"channel,omitempty" doc:"The channel it was about"`
	User    string    `json:"user,omitempty" doc:"The user of the token"`
	Session string    `json:"session,omitempty" doc:"The connection, by the session of its welcome"`
	Key     string    `json:"key,omitempty" doc:"The id of the key, or of the one that signed the token"`
}

// Connection is an open realtime connection of an app.
type Connection struct {
	Session  string    `json:"session" doc:"Its name: the session of its welcome"`
	User     string    `json:"user,omitempty" doc:"The user of its token"`
	Door     string    `json:"door" doc:"What it speaks: ws, sse or another door's name"`
	Client   string    `json:"client,omitempty" doc:"What the client says that it is, as its SDK and version; not to be relied on"`
	Key      string    `json:"key,omitempty" doc:"The id of its key, or of the one that signed its token"`
	Since    time.Time `json:"since" doc:"When it opened"`
	Expires  int64     `json:"expires,omitempty" doc:"When its token ends, in Unix seconds"`
	Count    int       `json:"channel_count" doc:"How many channels it is subscribed to"`
	Channels []Channel `json:"channels" nullable:"false" doc:"The first 100 of them by name"`
}
