import { expect, test } from "vitest";
import { filterOf } from "../src/incidents/question";
import { alternatives, comparison, withAlternatives } from "../src/parts/address";

test("a filter is read as the API reads it", () => {
  expect(comparison("value >= 60")).toEqual({ field: "value", operator: ">=", value: "60" });
  expect(comparison("title~a=b|c")).toEqual({ field: "title", operator: "~", value: "a=b|c" });
  expect(comparison("verdict=")).toEqual({ field: "verdict", operator: "=", value: "" });
  expect(comparison("no filter")).toBeNull();
});

test("alternatives of a field replace those before and leave other filters", () => {
  const filters = ["status=new|open", "value>=60"];
  expect(alternatives(filters, "status")).toEqual(["new", "open"]);
  expect(withAlternatives(filters, "status", ["closed"])).toEqual(["value>=60", "status=closed"]);
  expect(withAlternatives(filters, "status", [])).toEqual(["value>=60"]);
  expect(withAlternatives(["value=60"], "value", ["70"])).toEqual(["value=70"]);
});

test.each([
  ["10.0.0.", "entities^10.0.0."],
  ["2001:db8::1", "entities^2001:db8::1"],
  ["t1071.001", "techniques^T1071.001"],
  ["beacon to evil.example", "title~beacon to evil.example"],
  ["<script>", "title~<script>"],
])("%s is found where it stands", (word, filter) => {
  expect(filterOf(word)).toBe(filter);
});
