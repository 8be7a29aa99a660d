/** Writes figures of the overview as people say them. */

/** Say how a count compares with that of the day before. */
export function since(now: number, before: number): string {
  const more = now - before;
  if (more === 0) return "no change";
  return `${Math.abs(more).toLocaleString("en")} ${more > 0 ? "more" : "fewer"}`;
}

/** A share beyond this says no more than that hardly anything was there before. */
const MOST_SHARE = 9.99;

/** Say how an amount compares with that of the day before. */
export function moved(now: number, before: number): string {
  const share = before > 0 ? now / before - 1 : Number.POSITIVE_INFINITY;
  if (share > MOST_SHARE) return now > 0 ? "hardly any before" : "none";
  return `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(0)}%`;
}

const UNITS: [string, number][] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** Say how long something took; a dash where it never happened. */
export function waited(seconds: number | null): string {
  if (seconds === null) return "–";
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? ["s", 1];
  const amount = seconds / length;
  return `${amount < 10 ? amount.toFixed(1) : amount.toFixed(0)} ${unit}`;
}
