import { expect, test } from "vitest";
import { chances, placed } from "../../src/parts/layout";
import { kindsOf, neighbours, way } from "../../src/parts/network";

const nodes = ["a", "b", "c", "d"].map((id) => ({ id, kind: id === "d" ? "odd" : "host", label: id }));
const edges = [
  { source: "a", target: "b", kind: "talked" },
  { source: "b", target: "c", kind: "talked" },
  { source: "c", target: "c", kind: "talked" },
  { source: "a", target: "nobody", kind: "talked" },
];

test("neighbours are joined both ways, and by edges that end somewhere", () => {
  const joined = neighbours(nodes, edges);
  expect([...(joined.get("b") ?? [])]).toEqual(["a", "c"]);
  expect(joined.get("a")).toEqual(new Set(["b"]));
  expect(joined.get("c")).toEqual(new Set(["b"]));
});

test("the way is the shortest, and none where none leads", () => {
  const joined = neighbours(nodes, [...edges, { source: "a", target: "c", kind: "named" }]);
  expect(way("a", "c", joined)).toEqual(["a", "c"]);
  expect(way("a", "c", neighbours(nodes, edges))).toEqual(["a", "b", "c"]);
  expect(way("a", "d", joined)).toEqual([]);
});

test("kinds that are not known are listed after those that are", () => {
  expect(kindsOf(nodes)).toEqual(["host", "odd"]);
});

test("the same graph is placed in the same way, and nodes keep about where they were", () => {
  const task = { order: 3, edges: new Uint32Array([0, 1, 1, 2]), known: new Float32Array(6).fill(Number.NaN) };
  const once = placed(task);
  expect(placed(task)).toEqual(once);
  expect(new Set(once).size).toBe(6);
  expect(placed({ ...task, known: once }).every(Number.isFinite)).toBe(true);
});

test("chances are those of the seed", () => {
  const [one, other] = [chances(1), chances(1)];
  const drawn = Array.from({ length: 100 }, one);
  expect(Array.from({ length: 100 }, other)).toEqual(drawn);
  expect(drawn.every((each) => each >= 0 && each < 1)).toBe(true);
});
