import { expect, test } from "vitest";
import { told, usual } from "../../src/hosts/telling";

test("changes are told with both amounts", () => {
  expect(told({ measure: "sent_bytes", before: 1_000_000, now: 12_000_000 })).toBe(
    "Sent 12.0 MB in the last day, 12 times as much; 1.0 MB the day before",
  );
  expect(told({ measure: "peers", before: 0, now: 40 })).toContain("for the first time");
  expect(told({ measure: "flows", before: 90, now: 30 })).toContain("3.0 times as little");
});

const band = (low: number) => ({ low, median: low + 1, high: low + 2 });
const hours = ["2026-01-05T23:00:00Z", "2026-01-06T00:00:00Z"].map((start) => ({
  start,
  flows: 1,
  bytes_in: 1,
  bytes_out: 1,
}));

test("each hour is compared with the same hour of other days", () => {
  const known = { hour: 23, days: 3, flows: band(5), bytes_in: band(0), bytes_out: band(0) };
  expect(usual(hours, [known], "flows")).toMatchObject({ low: [5, null], high: [7, null] });
  expect(usual(hours, [], "flows")).toBeUndefined();
});
