import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const state = signal("in");
vi.mock("../src/api/session", () => ({ state, freshToken: async () => "token" }));

class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen?: () => void;
  onmessage?: (message: { data: string }) => void;
  onclose?: () => void;
  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this);
  }
  open() {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  tell(...messages: unknown[]) {
    this.onmessage?.({ data: JSON.stringify(messages) });
  }
  close() {
    this.readyState = 3;
    this.onclose?.();
  }
}

/** Load the module anew, and return it with the socket that a first subscription opened. */
async function followed(listener: (events: unknown[]) => void) {
  vi.resetModules();
  const stream = await import("../src/api/stream");
  const end = stream.follow(["incidents"], ["severity>=high"], listener);
  await vi.advanceTimersByTimeAsync(0);
  return { stream, end, socket: FakeSocket.all[0] as FakeSocket };
}

beforeEach(() => {
  FakeSocket.all = [];
  state.value = "in";
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("events come to who asked for them, and the token stands in no address", async () => {
  const listener = vi.fn();
  const { socket, stream } = await followed(listener);
  socket.open();
  expect(stream.link.value).toBe("live");
  expect(socket.protocols).toEqual(["infraspectre", "bearer.token"]);
  expect(String(socket.url)).not.toContain("token");
  const [asked] = socket.sent;
  expect(asked).toMatchObject({ type: "subscribe", channels: ["incidents"], filters: ["severity>=high"] });
  socket.tell({ type: "events", subscription: asked?.id, events: [{ kind: "incident.raised" }], position: "7" });
  socket.tell({ type: "events", subscription: "another", events: [{ kind: "incident.closed" }], position: "8" });
  socket.tell({ type: "gap", subscription: asked?.id, position: "9" });
  expect(listener.mock.calls).toEqual([[[{ kind: "incident.raised" }]], [[]]]);
});

test("a connection that broke is made again, and goes on where it stopped", async () => {
  const { socket, stream } = await followed(vi.fn());
  socket.open();
  socket.tell({ type: "events", subscription: socket.sent[0]?.id, events: [{}], position: "7" });
  socket.close();
  expect(stream.link.value).toBe("away");
  await vi.advanceTimersByTimeAsync(500);
  const again = FakeSocket.all[1] as FakeSocket;
  again.open();
  expect(again.sent).toEqual([{ ...socket.sent[0], resume: "7" }]);
});

test("it waits longer each time that nobody answers, and half a minute at most", async () => {
  await followed(vi.fn());
  for (let time = 0; time < 12; time++) {
    FakeSocket.all.at(-1)?.close();
    await vi.advanceTimersByTimeAsync(30_000);
  }
  expect(FakeSocket.all).toHaveLength(13);
  FakeSocket.all.at(-1)?.close();
  await vi.advanceTimersByTimeAsync(14_000);
  expect(FakeSocket.all).toHaveLength(13);
});

test("who stops listening is told nothing, and nobody connects for nobody", async () => {
  const { socket, end } = await followed(vi.fn());
  socket.open();
  end();
  expect(socket.sent.at(-1)).toMatchObject({ type: "unsubscribe" });
  socket.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSocket.all).toHaveLength(1);
});

test("logging out closes the connection", async () => {
  const { socket } = await followed(vi.fn());
  socket.open();
  state.value = "out";
  expect(socket.readyState).toBe(3);
});
