// Code generated from codes.json by gencodes; DO NOT EDIT.

package protocol

// The codes. See PROTOCOL.md, section 10.
const (
	CodeBadJSON           Code = "bad_json"
	CodeBadRequest        Code = "bad_request"
	CodeUnknownCommand    Code = "unknown_command"
	CodeRefInvalid        Code = "ref_invalid"
	CodeChannelInvalid    Code = "channel_invalid"
	CodeEventInvalid      Code = "event_invalid"
	CodeIDInvalid         Code = "id_invalid"
	CodeDataMissing       Code = "data_missing"
	CodePositionInvalid   Code = "position_invalid"
	CodePositionConflict  Code = "position_conflict"
	CodeRewindInvalid     Code = "rewind_invalid"
	CodeUserMissing       Code = "user_missing"
	CodePresenceOff       Code = "presence_off"
	CodePresenceInvalid   Code = "presence_invalid"
	CodeNotPresent        Code = "not_present"
	CodeBinaryFrame       Code = "binary_frame"
	CodeHelloExpected     Code = "hello_expected"
	CodeHelloRepeated     Code = "hello_repeated"
	CodeFrameTooLarge     Code = "frame_too_large"
	CodeTooManyErrors     Code = "too_many_errors"
	CodeBodyTooLarge      Code = "body_too_large"
	CodeMessageTooLarge   Code = "message_too_large"
	CodeBatchTooLarge     Code = "batch_too_large"
	CodeAlreadySubscribed Code = "already_subscribed"
	CodeNotSubscribed     Code = "not_subscribed"
	CodeCredentialMissing Code = "credential_missing"
	CodeKeyInvalid        Code = "key_invalid"
	CodeKeyExpired        Code = "key_expired"
	CodeKeyKind           Code = "key_kind"
	CodeKeyInURL          Code = "key_in_url"
	CodeTokenInvalid      Code = "token_invalid"
	CodeTokenExpired      Code = "token_expired"
	CodeTokenMismatch     Code = "token_mismatch"
	CodeTicketInvalid     Code = "ticket_invalid"
	CodeNotGranted        Code = "not_granted"
	CodePublishOff        Code = "publish_off"
	CodeOriginNotAllowed  Code = "origin_not_allowed"
	CodeConnectionLimit   Code = "connection_limit"
	CodeChannelLimit      Code = "channel_limit"
	CodePublishRate       Code = "publish_rate"
	CodeSubscribeRate     Code = "subscribe_rate"
	CodeQuotaExceeded     Code = "quota_exceeded"
	CodeHelloTimeout      Code = "hello_timeout"
	CodePingTimeout       Code = "ping_timeout"
	CodeSlowClient        Code = "slow_client"
	CodeInternal          Code = "internal"
	CodeUnavailable       Code = "unavailable"
	CodeDiskFull          Code = "disk_full"
	CodeOverloaded        Code = "overloaded"
	CodeRestarting        Code = "restarting"
	CodeKicked            Code = "kicked"
	CodeAppNotFound       Code = "app_not_found"
	CodeKeyNotFound       Code = "key_not_found"
	CodeKeyTaken          Code = "key_taken"
	CodeDoorClosed        Code = "door_closed"
	CodeWebhookNotFound   Code = "webhook_not_found"
	CodeDeliveryNotFound  Code = "delivery_not_found"
	CodeWebhookLimit      Code = "webhook_limit"
	CodeURLNotAllowed     Code = "url_not_allowed"
	CodeNameTaken         Code = "name_taken"
	CodeConflict          Code = "conflict"
	CodeLinkInvalid       Code = "link_invalid"
	CodeNotFound          Code = "not_found"
	CodeMethodNotAllowed  Code = "method_not_allowed"
	CodeUpgradeRequired   Code = "upgrade_required"
)

// Codes lists every code in the order of codes.json.
func Codes() []Code {
	return []Code{
		CodeBadJSON,
		CodeBadRequest,
		CodeUnknownCommand,
		CodeRefInvalid,
		CodeChannelInvalid,
		CodeEventInvalid,
		CodeIDInvalid,
		CodeDataMissing,
		CodePositionInvalid,
		CodePositionConflict,
		CodeRewindInvalid,
		CodeUserMissing,
		CodePresenceOff,
		CodePresenceInvalid,
		CodeNotPresent,
		CodeBinaryFrame,
		CodeHelloExpected,
		CodeHelloRepeated,
		CodeFrameTooLarge,
		CodeTooManyErrors,
		CodeBodyTooLarge,
		CodeMessageTooLarge,
		CodeBatchTooLarge,
		CodeAlreadySubscribed,
		CodeNotSubscribed,
		CodeCredentialMissing,
		CodeKeyInvalid,
		CodeKeyExpired,
		CodeKeyKind,
		CodeKeyInURL,
		CodeTokenInvalid,
		CodeTokenExpired,
		CodeTokenMismatch,
		CodeTicketInvalid,
		CodeNotGranted,
		CodePublishOff,
		CodeOriginNotAllowed,
		CodeConnectionLimit,
		CodeChannelLimit,
		CodePublishRate,
		CodeSubscribeRate,
		CodeQuotaExceeded,
		CodeHelloTimeout,
		CodePingTimeout,
		CodeSlowClient,
		CodeInternal,
		CodeUnavailable,
		CodeDiskFull,
		CodeOverloaded,
		CodeRestarting,
		CodeKicked,
		CodeAppNotFound,
		CodeKeyNotFound,
		CodeKeyTaken,
		CodeDoorClosed,
		CodeWebhookNotFound,
		CodeDeliveryNotFound,
		CodeWebhookLimit,
		CodeURLNotAllowed,
		CodeNameTaken,
		CodeConflict,
		CodeLinkInvalid,
		CodeNotFound,
		CodeMethodNotAllowed,
		CodeUpgradeRequired,
	}
}

// Info is the row of c in the table; false for a code that is not in it.
func (c Code) Info() (Info, bool) {
	switch c {
	case CodeBadJSON:
		return Info{Status: 400, Close: 0, Message: "This is not valid JSON in UTF-8.", Remedy: "Send one JSON object per line (realtime) or one JSON object as the body (REST), encoded in UTF-8."}, true
	case CodeBadRequest:
		return Info{Status: 400, Close: 0, Message: "The request does not have the form this endpoint takes.", Remedy: "Compare it with /v1/openapi.json; the message names the member that is wrong."}, true
	case CodeUnknownCommand:
		return Info{Status: 400, Close: 0, Message: "The frame's type is not a command.", Remedy: "Use one of hello, subscribe, unsubscribe, publish, presence, auth, ping, pong."}, true
	case CodeRefInvalid:
		return Info{Status: 400, Close: 0, Message: "The ref is not a whole number from 1 to 9007199254740991.", Remedy: "Count refs up from 1, or leave ref out."}, true
	case CodeChannelInvalid:
		return Info{Status: 400, Close: 0, Message: "The channel name is not valid.", Remedy: "Use 1 to 200 bytes of UTF-8 without control characters."}, true
	case CodeEventInvalid:
		return Info{Status: 400, Close: 0, Message: "The event name is not valid.", Remedy: "Use 1 to 200 bytes of UTF-8 without control characters, or leave event out."}, true
	case CodeIDInvalid:
		return Info{Status: 400, Close: 0, Message: "The message id is not valid.", Remedy: "Use 1 to 64 characters of A-Z a-z 0-9 . _ : -, or leave id out to have one made."}, true
	case CodeDataMissing:
		return Info{Status: 400, Close: 0, Message: "The message has no data.", Remedy: "Add \"data\" with any JSON value; null is a value too."}, true
	case CodePositionInvalid:
		return Info{Status: 400, Close: 0, Message: "The position is not one that the server gave out.", Remedy: "Send the position of a message or of a subscribed frame unchanged, or leave since out."}, true
	case CodePositionConflict:
		return Info{Status: 409, Close: 0, Message: "The channel is not at the position that the publish asks for.", Remedy: "Read what came since (the error tells the channel's position), and publish again from there."}, true
	case CodeRewindInvalid:
		return Info{Status: 400, Close: 0, Message: "The rewind is not valid.", Remedy: "Send {\"count\":1 to 100} or {\"seconds\":1 to 2592000}."}, true
	case CodeUserMissing:
		return Info{Status: 403, Close: 0, Message: "Presence needs to know who the client is.", Remedy: "Connect with a token that has a sub."}, true
	case CodePresenceOff:
		return Info{Status: 403, Close: 0, Message: "The channel's namespace has no presence.", Remedy: "Switch presence on in the namespace's rule."}, true
	case CodePresenceInvalid:
		return Info{Status: 400, Close: 0, Message: "The presence command is not valid.", Remedy: "Send action enter, update, leave or members, with at most 1024 bytes of data."}, true
	case CodeNotPresent:
		return Info{Status: 409, Close: 0, Message: "The connection is not a member of the channel.", Remedy: "Enter before you update or leave."}, true
	case CodeBinaryFrame:
		return Info{Status: 400, Close: 4320, Message: "Binary WebSocket frames are not part of this protocol.", Remedy: "Send text frames."}, true
	case CodeHelloExpected:
		return Info{Status: 400, Close: 4321, Message: "The first frame was not hello.", Remedy: "Send {\"type\":\"hello\",\"key\":\"ffp_…\"} or a hello with a token first."}, true
	case CodeHelloRepeated:
		return Info{Status: 409, Close: 0, Message: "This connection has said hello before.", Remedy: "Send auth to change the token; open another connection to change the app."}, true
	case CodeFrameTooLarge:
		return Info{Status: 413, Close: 4322, Message: "The frame is larger than this app allows.", Remedy: "Send smaller messages, or raise the app's message_bytes limit."}, true
	case CodeTooManyErrors:
		return Info{Status: 400, Close: 4323, Message: "This connection sent too many wrong frames.", Remedy: "Mend the client; each wrong frame was answered with its error."}, true
	case CodeBodyTooLarge:
		return Info{Status: 413, Close: 0, Message: "The request body is too large.", Remedy: "Split it into several requests."}, true
	case CodeMessageTooLarge:
		return Info{Status: 413, Close: 0, Message: "The message's data is larger than this app allows.", Remedy: "Send a reference to the data instead, or raise the app's message_bytes limit."}, true
	case CodeBatchTooLarge:
		return Info{Status: 413, Close: 0, Message: "The batch has too many messages or channels.", Remedy: "Send at most 1000 at once."}, true
	case CodeAlreadySubscribed:
		return Info{Status: 409, Close: 0, Message: "This connection is subscribed to the channel already.", Remedy: "Nothing to do: the subscription is live. Unsubscribe first to start anew."}, true
	case CodeNotSubscribed:
		return Info{Status: 409, Close: 0, Message: "This connection is not subscribed to the channel.", Remedy: "Nothing to do, or check the channel's name."}, true
	case CodeCredentialMissing:
		return Info{Status: 401, Close: 4300, Message: "No key or token was sent.", Remedy: "Send Authorization: Bearer with a key or token (REST, SSE), or put it into hello (WebSocket)."}, true
	case CodeKeyInvalid:
		return Info{Status: 401, Close: 4301, Message: "The key is not valid: it is cut off, mistyped or unknown here.", Remedy: "Copy the whole key again (fanfare key list), and check that this is the server that made it."}, true
	case CodeKeyExpired:
		return Info{Status: 401, Close: 4302, Message: "The key has expired or was revoked.", Remedy: "Make a new one with fanfare key create, and put it in place of this one."}, true
	case CodeKeyKind:
		return Info{Status: 403, Close: 4303, Message: "A key of this kind may not do that.", Remedy: "The message says which kind is needed: publishable (ffp_), secret (ffs_) or an account token (ffa_)."}, true
	case CodeKeyInURL:
		return Info{Status: 400, Close: 0, Message: "Secret keys and tokens are not taken from the URL, where logs and histories keep them.", Remedy: "Send it in the Authorization header; for EventSource, get a one-time ticket from POST /v1/tickets."}, true
	case CodeTokenInvalid:
		return Info{Status: 401, Close: 4304, Message: "The token is not valid.", Remedy: "Sign a JWT (HS256) with a live secret key, its id as kid, and an exp."}, true
	case CodeTokenExpired:
		return Info{Status: 401, Close: 4201, Message: "The token has expired.", Remedy: "Get a new token from your server; the SDK does so by itself when it has getToken."}, true
	case CodeTokenMismatch:
		return Info{Status: 403, Close: 0, Message: "The new token is for another app or user than this connection.", Remedy: "Open a new connection for another user."}, true
	case CodeTicketInvalid:
		return Info{Status: 401, Close: 0, Message: "The ticket is unknown, used or expired.", Remedy: "Get a new one from POST /v1/tickets: a ticket is good for one stream within 30 seconds."}, true
	case CodeNotGranted:
		return Info{Status: 403, Close: 0, Message: "The key or token does not grant this.", Remedy: "Grant the action on this channel in the token or on the key."}, true
	case CodePublishOff:
		return Info{Status: 403, Close: 0, Message: "Clients may not publish to this channel's namespace.", Remedy: "Publish from your server with a secret key, or switch publish_from_clients on in the namespace's rule."}, true
	case CodeOriginNotAllowed:
		return Info{Status: 403, Close: 4305, Message: "The key does not allow pages of this origin.", Remedy: "Add the origin to the key's allowed_origins."}, true
	case CodeConnectionLimit:
		return Info{Status: 429, Close: 4101, Message: "The app has as many connections as it may have.", Remedy: "Close idle connections, or raise the app's connections limit."}, true
	case CodeChannelLimit:
		return Info{Status: 429, Close: 0, Message: "The connection has as many channels as it may have.", Remedy: "Unsubscribe from some, or raise the app's channels_per_connection limit."}, true
	case CodePublishRate:
		return Info{Status: 429, Close: 0, Message: "The app publishes faster than it may.", Remedy: "Wait for retry_after, send batches, or raise the app's publish_per_second limit."}, true
	case CodeSubscribeRate:
		return Info{Status: 429, Close: 0, Message: "The connection subscribes faster than it may.", Remedy: "Wait for retry_after, or raise the app's subscribe_per_second limit."}, true
	case CodeQuotaExceeded:
		return Info{Status: 403, Close: 0, Message: "The account has used what its plan allows.", Remedy: "Ask the operator for a larger plan; fanfare usage shows what is used."}, true
	case CodeHelloTimeout:
		return Info{Status: 408, Close: 4010, Message: "No hello came within 10 seconds.", Remedy: "Send hello as soon as the connection is open."}, true
	case CodePingTimeout:
		return Info{Status: 408, Close: 4011, Message: "The client did not answer the server's pings.", Remedy: "Answer each ping with pong; come back with back-off."}, true
	case CodeSlowClient:
		return Info{Status: 408, Close: 4012, Message: "The client read too slowly and its queue was full.", Remedy: "Come back and resume; subscribe to fewer channels per connection, or do less work per message."}, true
	case CodeInternal:
		return Info{Status: 500, Close: 4000, Message: "Something went wrong in the server.", Remedy: "Try again; if it stays, give the request id to the operator."}, true
	case CodeUnavailable:
		return Info{Status: 503, Close: 0, Message: "The server cannot do this just now.", Remedy: "Try again after retry_after."}, true
	case CodeDiskFull:
		return Info{Status: 507, Close: 0, Message: "The server's disk is full.", Remedy: "Free space in the server's data folder; nothing has to be restarted."}, true
	case CodeOverloaded:
		return Info{Status: 503, Close: 4100, Message: "The server takes no new connections just now.", Remedy: "Come back with back-off."}, true
	case CodeRestarting:
		return Info{Status: 503, Close: 4200, Message: "The server is restarting.", Remedy: "Come back at once; nothing is lost on durable channels."}, true
	case CodeKicked:
		return Info{Status: 403, Close: 4310, Message: "The app closed this connection.", Remedy: "Do not come back until the app lets you."}, true
	case CodeAppNotFound:
		return Info{Status: 404, Close: 4311, Message: "There is no such app, or it is not yours.", Remedy: "List your apps with fanfare app list."}, true
	case CodeKeyNotFound:
		return Info{Status: 404, Close: 0, Message: "The app has no such key.", Remedy: "List its keys with fanfare key list."}, true
	case CodeKeyTaken:
		return Info{Status: 409, Close: 0, Message: "One of these keys is in use on this server already.", Remedy: "See which of your apps has it (fanfare door list --app APP), or leave the parts out to have new keys made."}, true
	case CodeDoorClosed:
		return Info{Status: 403, Close: 4312, Message: "The app does not let clients of this kind in.", Remedy: "Open the door with fanfare door open."}, true
	case CodeWebhookNotFound:
		return Info{Status: 404, Close: 0, Message: "The app has no such webhook.", Remedy: "List its webhooks with fanfare webhook list."}, true
	case CodeDeliveryNotFound:
		return Info{Status: 404, Close: 0, Message: "The webhook has no such delivery, or it is too old to be sent again.", Remedy: "List its last deliveries with fanfare webhook deliveries."}, true
	case CodeWebhookLimit:
		return Info{Status: 409, Close: 0, Message: "The app has as many webhooks as it may have.", Remedy: "Delete one, or let one receiver hand events on."}, true
	case CodeURLNotAllowed:
		return Info{Status: 400, Close: 0, Message: "Events are not sent to that address.", Remedy: "Use an https URL that the internet reaches, without a user or a fragment in it."}, true
	case CodeNameTaken:
		return Info{Status: 409, Close: 0, Message: "The account has an app of that name already.", Remedy: "Choose another name."}, true
	case CodeConflict:
		return Info{Status: 409, Close: 0, Message: "Somebody else changed this at the same time.", Remedy: "Read it again and repeat the change."}, true
	case CodeLinkInvalid:
		return Info{Status: 401, Close: 0, Message: "The sign-in link is unknown, used or expired.", Remedy: "Make a new one with fanfare link, or restart the server."}, true
	case CodeNotFound:
		return Info{Status: 404, Close: 0, Message: "There is nothing at this address.", Remedy: "See /v1/openapi.json for what there is."}, true
	case CodeMethodNotAllowed:
		return Info{Status: 405, Close: 0, Message: "This address does not take that method.", Remedy: "See /v1/openapi.json for what it takes."}, true
	case CodeUpgradeRequired:
		return Info{Status: 426, Close: 0, Message: "This address speaks WebSocket only.", Remedy: "Connect with a WebSocket client (subprotocol fanfare.v1.json), or use /v1/sse."}, true
	}
	return Info{}, false
}
