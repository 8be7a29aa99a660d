/** Shows a moment: how long ago in words, and exactly in UTC to who asks. */
import { signal } from "@preact/signals";

const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 10_000);

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });

/** Return how long ago a moment was. */
export function ago(at: number, from: number): string {
  const seconds = (at - from) / 1_000;
  const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return unit ? relative.format(Math.round(seconds / unit[1]), unit[0]) : "just now";
}

/** Return a moment in UTC, to the second. */
export function exact(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
}

export function Time({ at, isExact = false }: { at: string; isExact?: boolean }) {
  return (
    <time dateTime={at} title={exact(at)} class="whole">
      {isExact ? exact(at) : ago(Date.parse(at), now.value)}
    </time>
  );
}
