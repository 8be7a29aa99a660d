import { expect, test } from "vitest";
import { legible } from "../src/parts/legible";

test("signs that turn the direction of reading are written out, and nothing else", () => {
  expect(legible("\u202eexe.gpj\u202c")).toBe("\\u202eexe.gpj\\u202c");
  expect(legible("שלום <b> \n")).toBe("שלום <b> \n");
});
