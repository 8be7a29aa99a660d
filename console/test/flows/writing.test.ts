import { expect, test } from "vitest";
import { csv, jsonLines } from "../../src/flows/writing";

test("CSV keeps separators, quotes and lines within their cell", () => {
  const rows = [{ flow_id: "1", a: 'x,"y"\nz', b: 5, c: null }];
  expect(csv(rows, ["a", "b", "c"])).toBe('a,b,c\r\n"x,""y""\nz",5,\r\n');
});

test("texts that spreadsheets would run are only texts", () => {
  const rows = ["=1+1", "+1", "-1", "@a", "\ta"].map((a, at) => ({ flow_id: String(at), a }));
  const cells = csv(rows, ["a"]).split("\r\n").slice(1, -1);
  expect(cells.every((cell) => cell.startsWith("'"))).toBe(true);
  expect(csv([{ flow_id: "1", a: -1 }], ["a"])).toBe("a\r\n-1\r\n");
});

test("JSON lines are one object on each line", () => {
  expect(jsonLines([{ flow_id: "1" }, { flow_id: "2" }])).toBe('{"flow_id":"1"}\n{"flow_id":"2"}\n');
});
