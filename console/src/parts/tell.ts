/** Tells what came of what somebody did, for a while, at the edge of the page. */
import { signal } from "@preact/signals";

export type Message = { id: number; text: string; kind: "done" | "failed"; undo?: () => void };
export const messages = signal<Message[]>([]);
const SHOWN_MS = 6_000;
let last = 0;

export function tell(text: string, kind: Message["kind"] = "done", undo?: () => void): void {
  const id = ++last;
  messages.value = [...messages.value.slice(-3), { id, text, kind, ...(undo && { undo }) }];
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  messages.value = messages.value.filter((each) => each.id !== id);
}
