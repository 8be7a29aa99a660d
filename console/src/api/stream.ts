/** Follows the stream of the server over one WebSocket, and resumes where it stopped. */
import { signal } from "@preact/signals";
import { freshToken, state as session } from "./session";

/** An event of the feed; see the guide on streams. */
export type FeedEvent = {
  channel: string;
  kind: string;
  at: string;
  subject: string;
  severity: string;
  entities: string[];
  relevance: number;
  data: Record<string, unknown>;
  position: string;
};

type Listener = (events: FeedEvent[]) => void;
type Subscription = { channels: string[]; filters: string[]; listener: Listener; position: string | null };

export type Link = "connecting" | "live" | "away";
export const link = signal<Link>("connecting");

const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 30_000;
const subscriptions = new Map<string, Subscription>();
let socket: WebSocket | null = null;
let wait = FIRST_WAIT_MS;
let timer = 0;
let count = 0;

/** Listen to events of channels that all filters let through; returns what ends it. */
export function follow(channels: string[], filters: string[], listener: Listener): () => void {
  const id = `s${++count}`;
  subscriptions.set(id, { channels, filters, listener, position: null });
  if (socket?.readyState === WebSocket.OPEN) subscribe(id);
  else void connect();
  return () => {
    subscriptions.delete(id);
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "unsubscribe", id }));
  };
}

function subscribe(id: string): void {
  const each = subscriptions.get(id);
  if (!each || !socket) return;
  const resume = each.position ? { resume: each.position } : {};
  const { channels, filters } = each;
  socket.send(JSON.stringify({ type: "subscribe", id, channels, filters, ...resume }));
}

async function connect(): Promise<void> {
  if (socket || session.value !== "in") return;
  link.value = "connecting";
  const token = await freshToken();
  if (socket || !token) return;
  const opened = new WebSocket(new URL("/api/v1/stream", location.href), ["infraspectre", `bearer.${token}`]);
  socket = opened;
  opened.onopen = () => {
    wait = FIRST_WAIT_MS;
    link.value = "live";
    for (const id of subscriptions.keys()) subscribe(id);
  };
  opened.onmessage = (message) => take(JSON.parse(message.data));
  opened.onclose = () => {
    if (socket === opened) socket = null;
    link.value = "away";
    if (subscriptions.size) again();
  };
}

/** Try again after a wait that doubles, with chance in it so that a thousand consoles do not come at once. */
function again(): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => void connect(), wait * (0.5 + Math.random() / 2));
  wait = Math.min(wait * 2, MOST_WAIT_MS);
}

/** Of what the server sums up, or cannot give any more, there are no events; that something happened is news all the same. */
const NEWS = ["events", "summary", "gap"];

type Message = { type: string; subscription?: string; events?: FeedEvent[]; position?: string };

function take(messages: Message[]): void {
  for (const message of messages) {
    const to = message.subscription === undefined ? undefined : subscriptions.get(message.subscription);
    if (!to) continue;
    if (message.position) to.position = message.position;
    if (NEWS.includes(message.type)) to.listener(message.events ?? []);
  }
}

session.subscribe((now) => {
  if (now === "in" && subscriptions.size) void connect();
  if (now === "out") socket?.close();
});
