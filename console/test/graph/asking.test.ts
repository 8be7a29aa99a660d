import { expect, test } from "vitest";
import { joined, without } from "../../src/graph/asking";
import { bareValue, linksOf } from "../../src/graph/NodeDetail";

const node = (id: string, kind: "host" | "technique") => ({ id, kind, label: id, level: "low" as const, count: 1 });
const edge = (source: string, target: string) => ({ source, target, kind: "shows", count: 1 });
const part = {
  nodes: [node("host:a", "host"), node("technique:T1", "technique")],
  edges: [edge("host:a", "technique:T1")],
  left_out: { nodes: 4, edges: 0 },
};
const more = {
  nodes: [node("host:a", "host"), node("host:b", "host")],
  edges: [edge("host:a", "technique:T1"), edge("host:a", "host:b")],
  left_out: { nodes: 0, edges: 0 },
};

test("parts become one graph: each node and edge once", () => {
  const graph = joined([part, more]);
  expect(graph.nodes.map((each) => each.id)).toEqual(["host:a", "technique:T1", "host:b"]);
  expect(graph.edges).toHaveLength(2);
  expect(graph.leftOut).toBe(4);
});

test("kinds are left out with the edges that would end nowhere", () => {
  const graph = without(joined([part, more]), new Set(["technique"]));
  expect(graph.edges).toEqual([edge("host:a", "host:b")]);
});

test("links hold any value, whatever signs it has", () => {
  expect(bareValue("host:fe80::1")).toBe("fe80::1");
  expect(linksOf("name", "a&b=c")[0]?.[0]).toBe("/flows?filter=tls_server_name%3Da%26b%3Dc");
  expect(linksOf("host", "fe80::1")[0]?.[0]).toBe("/hosts/fe80%3A%3A1");
});
