// Must not compile: tsc fails for each expected error that does not come.
import { Fanfare, type Message } from "@fanfarehq/client";
import { history } from "@fanfarehq/client/history";
import { presence, type Room } from "@fanfarehq/client/presence";

const ff = new Fanfare({ key: "k" });
// @ts-expect-error no credential
new Fanfare({ url: "https://x" });
// @ts-expect-error two credentials
new Fanfare({ key: "k", getToken: () => "t" });
// @ts-expect-error a token is text
new Fanfare({ getToken: () => 7 });
// @ts-expect-error no such option
new Fanfare({ key: "k", debug: true });
// @ts-expect-error no handler
void ff.subscribe("c");
// @ts-expect-error a channel is text
void ff.subscribe(7, () => {});
// @ts-expect-error data is unknown until somebody says what it is
void ff.subscribe("c", (m) => m.data.state);
// @ts-expect-error messages are read-only
void ff.subscribe("c", (m) => (m.id = "x"));
// @ts-expect-error no data
void ff.publish("c");
// @ts-expect-error no such publish option
void ff.publish("c", 1, { ttl: 5 });
// @ts-expect-error one of count and seconds
void ff.subscribe("c", () => {}, { rewind: { count: 1, seconds: 1 } });
// @ts-expect-error no such subscribe option
void ff.subscribe("c", () => {}, { at: 5 });
// @ts-expect-error no channel
history(ff);
// @ts-expect-error no such part of the past
history(ff, "c", { from: 1 });
export const room: Room<number> = await presence<number>(ff, "c");
// @ts-expect-error other data
void room.enter("x");
// @ts-expect-error nothing to say
void room.update();
// @ts-expect-error members are the server's to change
room.members.clear();
// @ts-expect-error no such event
room.on("join", () => {});
// @ts-expect-error no such event
ff.on("connect", () => {});
// @ts-expect-error no such state
ff.on("state", (s) => s.current === "open");
// @ts-expect-error state is read-only
ff.state = "closed";
// @ts-expect-error what a message has
export const m: Message<number> = { channel: "c", id: "i", data: 1 };
