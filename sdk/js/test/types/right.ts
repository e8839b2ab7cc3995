// Must compile.
import { Fanfare, FanfareError, type Message, type Subscription } from "@fanfarehq/client";

interface Order {
  state: "paid" | "open";
}

export async function right(): Promise<void> {
  const ff = new Fanfare({ url: "https://push.example.com", key: "ffp_x" });
  new Fanfare({ getToken: () => "t", WebSocket, fetch });
  new Fanfare({ getToken: async () => (await fetch("/token")).text() });
  new Fanfare({ token: "t" });
  const sub: Subscription = await ff.subscribe<Order>("orders:42", (m) => void (m.data.state satisfies "paid" | "open"));
  await ff.subscribe("any", (m: Message) => void (m.data satisfies unknown));
  await sub.unsubscribe();
  const { id, position }: { id: string; position: string } = await ff.publish("c", [1, null], { event: "e", id: "i" });
  const stop: () => void = ff.on("state", ({ current, error }) => void (current === "suspended" && error?.remedy));
  ff.on("gap", ({ channel, since }) => void (channel + since));
  stop();
  ff.off("state");
  const e: Error = new Fanfare.Error("c", "m", "r");
  if (e instanceof FanfareError) void (e.code + e.remedy + id + position);
  ff.close();
}
