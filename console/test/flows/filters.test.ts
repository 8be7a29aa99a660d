import { expect, test } from "vitest";
import { columnNamed, type FlowColumn, titleOf, written } from "../../src/flows/columns";
import { amount, escaped, filterOf, operatorsOf, pivot, spanFilter } from "../../src/flows/filters";

const column = (name: string) => columnNamed(name) as FlowColumn;

test("amounts are read with and without their unit", () => {
  expect(amount("1.5 MB")).toBe(1_500_000);
  expect(amount("443")).toBe(443);
  expect(amount("-2")).toBe(-2);
  for (const none of ["", "five", "1.2.3", "MB", "1e5"]) expect(amount(none)).toBeNull();
});

test("filters are written as the API reads them", () => {
  expect(filterOf(column("resp_bytes"), ">=", "1.5 MB")).toEqual({ filter: "resp_bytes>=1500000" });
  expect(filterOf(column("resp_port"), "=", "80|443")).toEqual({ filter: "resp_port=80|443" });
  expect(filterOf(column("tls_server_name"), "~", " exa ")).toEqual({ filter: "tls_server_name~exa" });
  expect(filterOf(column("started_at"), ">=", "2026-01-05T08:00:01")).toEqual({
    filter: "started_at>=2026-01-05T08:00:01.000Z",
  });
});

test("what is no value of its kind is told, not asked", () => {
  expect(filterOf(column("resp_port"), "=", "https")).toHaveProperty("problem");
  expect(filterOf(column("resp_port"), "=", "1.5")).toHaveProperty("problem");
  expect(filterOf(column("started_at"), "<", "yesterday")).toHaveProperty("problem");
});

test("each kind is compared by its own operators, and lists of numbers by none", () => {
  expect(operatorsOf(column("resp_port")).map(([sign]) => sign)).toContain(">=");
  expect(operatorsOf(column("http_hosts")).map(([sign]) => sign)).toContain("~");
  expect(operatorsOf(column("packet_sizes"))).toEqual([]);
});

test("a value that is clicked stands for itself, even with signs that have a meaning", () => {
  expect(escaped("a|b\\c")).toBe("a\\|b\\\\c");
  expect(pivot(column("tls_server_name"), "a|b", "!=")).toBe("tls_server_name!=a\\|b");
  expect(pivot(column("http_hosts"), ["one", "two"], "=")).toBe("http_hosts=one");
  expect(pivot(column("resp_port"), null, "=")).toBe("");
});

test("a span begins at a whole minute, so that pages of one question fit together", () => {
  const now = Date.parse("2026-01-05T08:30:59.500Z");
  expect(spanFilter("1h", now)).toEqual(["started_at>=2026-01-05T07:30:00.000Z"]);
  expect(spanFilter("", now)).toEqual([]);
});

test("columns have titles and their values units", () => {
  expect(titleOf("orig_mac")).toBe("Source MAC");
  expect(titleOf("resp_port")).toBe("Port");
  expect(written("resp_bytes", 1_500_000)).toBe("1.5 MB");
  expect(written("resp_port", 5_223)).toBe("5223");
  expect(written("duration_ms", 61_000)).toBe("1.0 min");
  expect(written("http_hosts", ["a", "b"])).toBe("a, b");
  expect(written("vlan", null)).toBe("");
});
