/** Asks for parts of the graph, and puts them together. */
import { useQueries, useQuery } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { answered, api } from "../api/client";
import type { components } from "../api/schema";

export type GraphPart = components["schemas"]["GraphView"];
export type GraphNode = GraphPart["nodes"][number];
type GraphEdge = GraphPart["edges"][number];

export type Begin = { node: string; depth: number; days: number };
/** So many nodes are drawn at the most. */
const MOST = 10_000;
const AROUND = 200;

function part(node: string, depth: number, days: number, limit: number) {
  const query = { days, limit, ...(node && { node, depth }) };
  return {
    queryKey: ["graph", node, depth, days],
    queryFn: () => answered(api.GET("/api/v1/graph", { params: { query } })),
  };
}

/** Ask for what lies around a node, or for the recent picture where none is named, and for more around others. */
export function useGraph({ node, depth, days }: Begin, expanded: string[]) {
  const first = useQuery(part(node, depth, days, MOST));
  const more = useQueries({ queries: expanded.map((each) => part(each, 1, days, AROUND)) });
  const parts = more.flatMap(({ data }) => (data ? [data] : []));
  const graph = useMemo(
    () => first.data && joined([first.data, ...parts]),
    [first.data, parts.length, expanded.join("\n")],
  );
  return { first, graph, isReading: more.some((each) => each.isFetching) };
}

export type Joined = { nodes: GraphNode[]; edges: GraphEdge[]; leftOut: number };

/** Return parts of the graph as one: each node and each edge once. */
export function joined(parts: Pick<GraphPart, "nodes" | "edges" | "left_out">[]): Joined {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  for (const each of parts) {
    for (const node of each.nodes) if (!nodes.has(node.id)) nodes.set(node.id, node);
    for (const edge of each.edges) edges.set(JSON.stringify([edge.source, edge.target, edge.kind]), edge);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()], leftOut: parts[0]?.left_out.nodes ?? 0 };
}

/** Return a graph without the nodes of some kinds, nor the edges that would end nowhere. */
export function without(graph: Joined, hidden: ReadonlySet<string>): Joined {
  const nodes = graph.nodes.filter((node) => !hidden.has(node.kind));
  const left = new Set(nodes.map((node) => node.id));
  return { ...graph, nodes, edges: graph.edges.filter((edge) => left.has(edge.source) && left.has(edge.target)) };
}
