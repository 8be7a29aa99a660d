import { expect, test } from "vitest";
import { inSight, scrolledTo } from "../src/parts/window";

test("only rows in sight and a few around them are drawn", () => {
  expect(inSight(10_000, 36, 36 * 500, 360)).toEqual({ first: 488, end: 522 });
  expect(inSight(10_000, 36, 0, 360)).toEqual({ first: 0, end: 22 });
  expect(inSight(5, 36, 0, 360)).toEqual({ first: 0, end: 5 });
  expect(inSight(0, 36, 0, 360)).toEqual({ first: 0, end: 0 });
});

test("a list that became shorter than it was scrolled draws its last row", () => {
  expect(inSight(3, 36, 36 * 500, 360)).toEqual({ first: 2, end: 3 });
});

test("a frame is scrolled no further than a row needs", () => {
  expect(scrolledTo(3, 36, 0, 400, 34)).toBe(0);
  expect(scrolledTo(20, 36, 0, 400, 34)).toBe(20 * 36 + 36 + 34 - 400);
  expect(scrolledTo(2, 36, 500, 400, 34)).toBe(72);
});
