import { expect, test } from "vitest";
import { moment, sentence, stacked, ticks } from "../../src/parts/series";

test("series stand on one another, and gaps stay where nothing is known", () => {
  const series = [
    { name: "a", values: [1, null, null] },
    { name: "b", values: [2, 3, null] },
  ];
  expect(stacked(series)).toEqual([
    [1, null, null],
    [3, 3, null],
  ]);
});

test("a chart is told in a sentence", () => {
  const series = [
    { name: "flows", values: [3, null, 9, 4] },
    { name: "none", values: [null] },
  ];
  expect(sentence(series, String)).toBe("flows: lowest 3, highest 9, last 4; none: nothing known");
});

test("times are told in UTC, midnight by its date", () => {
  const day = Date.parse("2026-01-05T00:00:00Z") / 1_000;
  expect(moment(day + 60)).toBe("2026-01-05 00:01 UTC");
  expect(ticks([day, day + 3_600])).toEqual(["Jan 5", "01:00"]);
});
