/** Finds which rows of a long list are in sight, so that no others are drawn. */

/** Rows drawn above and below what is in sight, so that quick scrolling shows no gaps. */
const AROUND = 12;

export type Sight = { first: number; end: number };

/** Return the rows to draw, of a list of `rows` rows of one height, scrolled by `top` in a frame of a height. */
export function inSight(rows: number, height: number, top: number, frame: number): Sight {
  const first = Math.max(0, Math.floor(top / height) - AROUND);
  const end = Math.min(rows, Math.ceil((top + frame) / height) + AROUND);
  return { first: Math.min(first, Math.max(0, rows - 1)), end };
}

/** Return how far a frame must be scrolled so that a row is wholly in sight below a sticky head. */
export function scrolledTo(row: number, height: number, top: number, frame: number, head: number): number {
  const above = row * height;
  const below = above + height + head - frame;
  return above < top ? above : Math.max(top, below);
}
