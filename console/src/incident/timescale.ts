/** Places moments on a line. */

/** Return where a moment lies between two others, in percent; in the middle where they are the same. */
export function placeOf(at: string, from: string, to: string): number {
  const [moment, start, end] = [at, from, to].map((each) => Date.parse(each)) as [number, number, number];
  return end > start ? Math.min(100, Math.max(0, ((moment - start) / (end - start)) * 100)) : 50;
}

const STEPS_S = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];
const FEW = 6;

/** Return round moments between two others, a few at the most. */
export function ticks(from: string, to: string): string[] {
  const [start, end] = [Date.parse(from) / 1_000, Date.parse(to) / 1_000];
  const step = STEPS_S.find((each) => (end - start) / each <= FEW) ?? 31_536_000;
  const found: string[] = [];
  for (let at = Math.ceil(start / step) * step; at <= end; at += step) found.push(new Date(at * 1_000).toISOString());
  return found;
}

const DAY_MS = 86_400_000;

/** Return how a moment is written below a line of this length. */
export function tickWords(at: string, from: string, to: string): string {
  const isShort = Date.parse(to) - Date.parse(from) < 5 * 60_000;
  if (isShort) return at.slice(11, 19);
  return Date.parse(at) % DAY_MS === 0 ? at.slice(5, 10) : at.slice(11, 16);
}
