/** Writes filters of flows as the API reads them. */
import type { FlowColumn, Kind, Value } from "./columns";
import { isTime } from "./columns";

const NUMBERS: [string, string][] = [
  ["=", "is"],
  ["!=", "is not"],
  [">=", "is at least"],
  ["<=", "is at most"],
];
const TIMES: [string, string][] = [
  [">=", "since"],
  ["<", "before"],
];
const TEXTS: [string, string][] = [
  ["=", "is"],
  ["!=", "is not"],
  ["~", "contains"],
  ["^", "begins with"],
];

/** Return how a column can be compared: the sign of the API and its words. */
export function operatorsOf({ name, kind }: { name: string; kind: Kind | null }): [string, string][] {
  if (kind === null) return [];
  if (isTime(name)) return TIMES;
  return kind === "integer" || kind === "real" ? NUMBERS : TEXTS;
}

const POWERS: Record<string, number> = { "": 0, k: 1, m: 2, g: 3, t: 4 };

/** Return a number as it was written, such as "1.5 MB" or "200", or null for what is none. */
export function amount(text: string): number | null {
  const [, number, power] = /^\s*(-?\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*$/i.exec(text) ?? [];
  if (number === undefined) return null;
  return Number(number) * 1_000 ** (POWERS[(power ?? "").toLowerCase()] ?? 0);
}

/** Return a filter, or what is wrong with the value that was given for it. */
export function filterOf(
  column: FlowColumn,
  operator: string,
  given: string,
): { filter: string } | { problem: string } {
  if (isTime(column.name)) return timeFilter(column.name, operator, given);
  if (column.kind === "text" || column.kind === "texts") return { filter: `${column.name}${operator}${given.trim()}` };
  const parts = operator === "=" || operator === "!=" ? given.split("|") : [given];
  const numbers = parts.map(amount);
  const isWhole = (number: number | null) => number !== null && (column.kind === "real" || Number.isInteger(number));
  if (!numbers.every(isWhole)) return { problem: "Write a number, such as 443 or 1.5 MB." };
  return { filter: `${column.name}${operator}${numbers.join("|")}` };
}

function timeFilter(name: string, operator: string, given: string): { filter: string } | { problem: string } {
  const at = Date.parse(`${given}Z`);
  if (Number.isNaN(at)) return { problem: "Choose a day and a time." };
  return { filter: `${name}${operator}${new Date(at).toISOString()}` };
}

/** Return the filter that keeps a value, or all but it; "" where it cannot be compared. */
export function pivot({ name, kind }: FlowColumn, value: Value, operator: "=" | "!="): string {
  if (kind === null || value === null || value === undefined) return "";
  const one = Array.isArray(value) ? value[0] : value;
  return one === undefined ? "" : `${name}${operator}${escaped(String(one))}`;
}

/** Return a value so that it stands for itself alone: alternatives stand between | in filters. */
export function escaped(value: string): string {
  return value.replace(/[\\|]/g, "\\$&");
}

export type Span = { key: string; title: string; seconds: number };
export const SPANS: Span[] = [
  { key: "15m", title: "Last 15 minutes", seconds: 900 },
  { key: "1h", title: "Last hour", seconds: 3_600 },
  { key: "24h", title: "Last 24 hours", seconds: 86_400 },
  { key: "7d", title: "Last 7 days", seconds: 604_800 },
];

/** Return the filter of a span that ends now, to the minute; none for any time. */
export function spanFilter(key: string, now: number): string[] {
  const span = SPANS.find((each) => each.key === key);
  if (!span) return [];
  const start = Math.floor(now / 60_000) * 60_000 - span.seconds * 1_000;
  return [`started_at>=${new Date(start).toISOString()}`];
}
