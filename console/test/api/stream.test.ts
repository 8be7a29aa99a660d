import { expect, test, vi } from "vitest";

class Socket {
  static readonly OPEN = 1;
  static last: Socket;
  readyState = Socket.OPEN;
  sent: string[] = [];
  onopen = () => {};
  onmessage = (_: { data: string }) => {};
  onclose = () => {};
  constructor(readonly address: URL) {
    Socket.last = this;
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {}
}

vi.stubGlobal("WebSocket", Socket);
vi.stubGlobal("location", { href: "http://console.test/console/" });
vi.mock("../../src/api/session", async () => {
  const { signal } = await import("@preact/signals");
  return { freshToken: async () => "token", state: signal("in") };
});
const { follow } = await import("../../src/api/stream");

test("messages go to the listener of their subscription, as the server names it", async () => {
  const heard: string[][] = [];
  const end = follow(["threat"], [], (events) => heard.push(events.map((each) => each.kind)));
  await vi.waitFor(() => expect(Socket.last).toBeDefined());
  Socket.last.onopen();
  const [asked] = Socket.last.sent.map((text) => JSON.parse(text));
  const own = { subscription: asked.id, position: "e.1" };
  const tell = (...messages: object[]) => Socket.last.onmessage({ data: JSON.stringify(messages) });
  tell({ type: "subscribed", ...own }, { type: "events", ...own, events: [{ kind: "incident.raised" }] });
  tell({ type: "events", subscription: "another", events: [{ kind: "not.ours" }] }, { type: "gap", ...own });
  expect(heard).toEqual([["incident.raised"], []]);
  Socket.last.onopen();
  expect(JSON.parse(Socket.last.sent[1] ?? "").resume).toBe("e.1");
  end();
});
