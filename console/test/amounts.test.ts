import { expect, test } from "vitest";
import { brief, bytes, count, percent } from "../src/parts/amounts";
import { ago, exact } from "../src/parts/Time";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 KB"],
  [999_499, "999 KB"],
  [21_500_000, "21.5 MB"],
  [1e21, "1000000 PB"],
])("%d bytes are written as %s", (value, words) => {
  expect(bytes(value)).toBe(words);
});

test("numbers are written as people read them", () => {
  expect([count(1_234_567), brief(1_234_567)]).toEqual(["1,234,567", "1.23M"]);
  expect([percent(0), percent(0.0123), percent(0.5), percent(1)]).toEqual(["0.0%", "1.2%", "50%", "100%"]);
});

test("how long ago a moment was is told in the largest unit that fits", () => {
  const now = Date.parse("2026-01-05T12:00:00Z");
  const before = (seconds: number) => ago(now - seconds * 1_000, now);
  expect([before(5), before(-5), before(60), before(7_200), before(3 * 86_400)]).toEqual([
    "just now",
    "just now",
    "1m ago",
    "2h ago",
    "3d ago",
  ]);
  expect(before(-7_200)).toBe("in 2h");
  expect(exact("2026-01-05T12:34:56.789Z")).toBe("2026-01-05 12:34:56 UTC");
});
