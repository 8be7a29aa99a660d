import { expect, test } from "vitest";
import { type AttackMatrix, columns, heat, navigatorLayer } from "../../src/attack/matrix";

const technique = (id: string, tactics: string[], more: Partial<AttackMatrix["techniques"][number]> = {}) => ({
  id,
  name: `name of ${id}`,
  tactics,
  parent: null,
  detectors: [],
  proofs: [],
  incidents: 0,
  detections: 0,
  worst: null,
  ...more,
});
const matrix: AttackMatrix = {
  version: "18.1",
  start: "2026-01-01T00:00:00Z",
  tactics: [
    { tactic: "one", name: "One" },
    { tactic: "two", name: "Two" },
  ],
  techniques: [
    technique("T1", ["one", "two"]),
    technique("T1.001", ["one"], { parent: "T1", detectors: ["scan"], incidents: 3 }),
    technique("T2", ["two"]),
  ],
};
const asked = { find: "", isAll: true, open: new Set<string>() };
const ids = (found: ReturnType<typeof columns>) => found.map((cells) => cells.map((cell) => cell.technique.id));

test("a technique stands below each of its tactics, with what its parts have", () => {
  const found = columns(matrix, asked);
  expect(ids(found)).toEqual([["T1"], ["T1", "T2"]]);
  expect(found[0]?.[0]).toMatchObject({ incidents: 3, detectors: 1 });
});

test("parts fold out below the tactics that are theirs", () => {
  expect(ids(columns(matrix, { ...asked, open: new Set(["T1"]) }))).toEqual([
    ["T1", "T1.001"],
    ["T1", "T2"],
  ]);
});

test("what is neither seen nor covered, or not found, is left out", () => {
  expect(ids(columns(matrix, { ...asked, isAll: false }))).toEqual([["T1"], ["T1"]]);
  expect(ids(columns(matrix, { ...asked, find: "t1.001" }))).toEqual([["T1"], ["T1"]]);
  expect(ids(columns(matrix, { ...asked, find: "NAME OF T2" }))).toEqual([[], ["T2"]]);
});

test("heat grows with incidents and ends", () => {
  expect([0, 1, 3, 4, 16, 64, 100_000].map(heat)).toEqual([0, 1, 1, 2, 3, 4, 4]);
});

test("a layer of the Navigator has what it shows", () => {
  expect(navigatorLayer(matrix, "seen").techniques.map((each) => each.techniqueID)).toEqual(["T1.001"]);
  expect(navigatorLayer(matrix, "gaps").techniques.map((each) => each.techniqueID)).toEqual(["T1", "T2"]);
});
