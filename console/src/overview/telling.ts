/** Writes figures of the overview as people say them. */

/** Say how a count compares with that of the day before. */
export function since(now: number, before: number): string {
  const more = now - before;
  if (more === 0) return "as the day before";
  return `${Math.abs(more).toLocaleString("en")} ${more > 0 ? "more" : "fewer"}`;
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
