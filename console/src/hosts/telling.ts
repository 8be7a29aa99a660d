/** Says in sentences and series what a host did, and what of that is not usual. */
import { bytes, count } from "../parts/amounts";
import type { Band } from "../parts/series";
import type { HostDetail } from "./asking";

type Change = HostDetail["changes"][number];
type Hours = HostDetail["activity"]["hours"];
export type Measure = "flows" | "bytes_in" | "bytes_out";

const WORDS: Record<string, { what: string; write: (value: number) => string }> = {
  flows: { what: "Had", write: (value) => `${count(value)} flows` },
  sent_bytes: { what: "Sent", write: bytes },
  received_bytes: { what: "Received", write: bytes },
  peers: { what: "Talked to", write: (value) => `${count(value)} hosts` },
  used_services: { what: "Used", write: (value) => `${count(value)} services` },
  offered_services: { what: "Offered", write: (value) => `${count(value)} services` },
  active_hours: { what: "Was active in", write: (value) => `${count(value)} hours` },
};

/** Return what became otherwise from the day before to the last one. */
export function told({ measure, before, now }: Change): string {
  const { what, write } = WORDS[measure] ?? { what: measure.replaceAll("_", " "), write: count };
  return `${what} ${write(now)} in the last day${beside(before, now)}; ${write(before)} the day before`;
}

function beside(before: number, now: number): string {
  if (before === 0) return ", for the first time";
  const times = now > before ? now / before : before / Math.max(now, 1);
  return `, ${times.toFixed(times < 10 ? 1 : 0)} times as ${now > before ? "much" : "little"}`;
}

/** Return what is usual at each hour that is shown; none where no earlier day is known. */
export function usual(hours: Hours, baseline: HostDetail["activity"]["baseline"], measure: Measure): Band | undefined {
  if (baseline.length === 0) return undefined;
  const known = new Map(baseline.map((each) => [each.hour, each[measure]]));
  const bands = hours.map((each) => known.get(Number(each.start.slice(11, 13))));
  const days = Math.max(...baseline.map((each) => each.days));
  return {
    name: `usual at this hour (${days} ${days === 1 ? "day" : "days"})`,
    low: bands.map((band) => band?.low ?? null),
    high: bands.map((band) => band?.high ?? null),
  };
}
