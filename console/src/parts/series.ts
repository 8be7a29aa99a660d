/** Arranges series of numbers over time as charts draw and tell them. */

/** Is what a chart shows over time; null where nothing is known. */
export type Series = { name: string; values: (number | null)[]; colour?: string };
/** Is the span in which values usually lie. */
export type Band = { name: string; low: (number | null)[]; high: (number | null)[] };

const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4"];

/** Return the token of the colour of a series. */
export function tokenOf(series: Series, place: number): string {
  return series.colour ?? COLOURS[place % COLOURS.length] ?? "--series-1";
}

/** Return series on top of one another: each with the sum of those up to it, null where all are. */
export function stacked(series: Series[]): (number | null)[][] {
  const sums: (number | null)[][] = [];
  for (const each of series) {
    const below = sums.at(-1);
    sums.push(each.values.map((value, at) => sum(below?.[at] ?? null, value)));
  }
  return sums;
}

function sum(below: number | null, value: number | null): number | null {
  return below === null && value === null ? null : (below ?? 0) + (value ?? 0);
}

/** Return times as UTC: the day and the minute. */
export function moment(seconds: number): string {
  const text = new Date(seconds * 1_000).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
}

const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const DAY_S = 86_400;

/** Return how an axis of time names its ticks: days by date, others by the clock, midnight by the date. */
export function ticks(times: number[]): string[] {
  return times.map((at) =>
    at % DAY_S === 0 ? day.format(at * 1_000) : new Date(at * 1_000).toISOString().slice(11, 16),
  );
}

/** Return a sentence that says of each series its lowest, highest and last value. */
export function sentence(series: Series[], write: (value: number) => string): string {
  return series.map((each) => `${each.name}: ${extremes(each, write)}`).join("; ");
}

function extremes(series: Series, write: (value: number) => string): string {
  const known = series.values.filter((value): value is number => value !== null);
  const last = known.at(-1);
  if (last === undefined) return "nothing known";
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  return `lowest ${write(low)}, highest ${write(high)}, last ${write(last)}`;
}
