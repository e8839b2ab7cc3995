// Must compile.
import { occupancy, type Counter, type Numbers } from "@fanfarehq/client/occupancy";
import { Fanfare, FanfareError, type Gap, type Message, type Subscription } from "@fanfarehq/client";
import { history, type HistoryPage } from "@fanfarehq/client/history";
import { presence, type Member, type Room } from "@fanfarehq/client/presence";

interface Order {
  state: "paid" | "open";
}

const duplicated = (): null => null;

export async function right(): Promise<void> {
  const ff = new Fanfare({ url: "https://push.example.com", key: "ffp_x" });
  new Fanfare({ getToken: () => "t", WebSocket, fetch });
  new Fanfare({ getToken: async () => (await fetch("/token")).text() });
  new Fanfare({ token: "t", persist: true, onGap: ({ channel, reason }: Gap) => void (channel + reason) });
  const sub: Subscription = await ff.subscribe<Order>("orders:42", (m) => void (m.data.state satisfies "paid" | "open"));
  await ff.subscribe("any", (m: Message) => void (m.data satisfies unknown));
  await sub.unsubscribe();
  await ff.subscribe("c", () => {}, { since: sub.position, rewind: { count: 10 } });
  await ff.subscribe("c", () => {}, { rewind: { seconds: 60 } });
  const { duplicate }: { duplicate: boolean } = await ff.publish("c", duplicated(), { ifPosition: "" });
  for await (const m of history<Order>(ff, "orders:42", { limit: 10, after: "e:1", until: sub.position, since: new Date(), newest: duplicate })) void (m.data.state satisfies string);
  const page: HistoryPage<Order> = await history<Order>(ff, "orders:42").page();
  await history(ff, "orders:42").page(page.next);
  const answer: { messages: unknown[] } = await ff.request("/v1/messages?channel=c");
  void answer;
  const room: Room<Order> = await presence<Order>(ff, "orders:42");
  const member: Member<Order> | undefined = room.members.get("ann");
  room.on("update", ({ user, data, connections }) => void (user + data?.state + connections + member?.user));
  room.on("sync", (all: ReadonlyMap<string, Member<Order>>) => void all.size)();
  room.on("error", (e: FanfareError) => void e.code);
  await room.enter();
  await room.update({ state: "paid" });
  await room.leave();
  await room.close();
  const counter: Counter = await occupancy(ff, "c", ({ subscribers, members }) => void (subscribers + members), (e: FanfareError) => void e.code);
  const { subscribers }: Numbers = counter.numbers;
  if (counter.active && subscribers) await counter.close();
  const { id, position }: { id: string; position: string } = await ff.publish("c", [1, null], { event: "e", id: "i" });
  const stop: () => void = ff.on("state", ({ current, error }) => void (current === "suspended" && error?.remedy));
  ff.on("gap", ({ channel, since }) => void (channel + since));
  stop();
  ff.off("state");
  const e: Error = new Fanfare.Error("c", "m", "r");
  if (e instanceof FanfareError) void (e.code + e.remedy + id + position);
  ff.close();
}
