import { expect, test } from "vitest";
import { programOf } from "../../src/settings/agents";

const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

test("browsers are told by what they alone say", () => {
  expect(programOf(CHROME)).toBe("Chrome 140 on Linux");
  expect(programOf(`${CHROME} Edg/141.0.0.0`)).toBe("Edge 141 on Linux");
  expect(programOf("Mozilla/5.0 (Macintosh; Intel) AppleWebKit/605 (KHTML) Version/18.2 Safari/605")).toBe(
    "Safari 18 on macOS",
  );
  expect(programOf("Mozilla/5.0 (Windows NT 10.0; rv:143.0) Gecko/20100101 Firefox/143.0")).toBe(
    "Firefox 143 on Windows",
  );
});

test("other programs are called as they call themselves, in short", () => {
  expect(programOf("curl/8.5.0")).toBe("curl/8.5.0");
  expect(programOf("")).toBe("not known");
  expect(programOf("x".repeat(200))).toHaveLength(40);
});
