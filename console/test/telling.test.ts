import { expect, test } from "vitest";
import { placeOf, ticks, tickWords } from "../src/incident/timescale";
import { moved, since, waited } from "../src/overview/telling";

test("counts and amounts are told beside the day before", () => {
  expect([since(4, 1), since(1, 4), since(2, 2)]).toEqual(["3 more", "3 fewer", "no change"]);
  expect([moved(110, 100), moved(90, 100), moved(5, 0), moved(0, 0)]).toEqual([
    "+10%",
    "−10%",
    "hardly any before",
    "none",
  ]);
});

test("how long something took is told in the unit that fits", () => {
  expect([waited(null), waited(0.5), waited(90), waited(43_200)]).toEqual(["–", "0.5 s", "1.5 min", "12 h"]);
});

test("moments lie on a line between its ends", () => {
  const [from, to] = ["2026-01-05T10:00:00Z", "2026-01-05T20:00:00Z"];
  expect(placeOf("2026-01-05T15:00:00Z", from, to)).toBe(50);
  expect(placeOf("2026-01-06T15:00:00Z", from, to)).toBe(100);
  expect(placeOf(from, from, from)).toBe(50);
});

test("ticks are round, few, and written as short as they can be", () => {
  const [from, to] = ["2026-01-05T22:10:00Z", "2026-01-06T05:00:00Z"];
  expect(ticks(from, to).map((at) => tickWords(at, from, to))).toEqual(["01-06", "03:00"]);
  expect(ticks("2026-01-05T10:00:00Z", "2026-01-05T10:00:04Z")).toHaveLength(5);
});
