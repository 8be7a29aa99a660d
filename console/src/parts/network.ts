/** Knows graphs of hosts, names, incidents and what joins them: kinds, neighbours and the shortest way. */

export type GraphNode = { id: string; kind: string; label: string; level?: string | null; count?: number };
export type GraphEdge = { source: string; target: string; kind: string; count?: number; bytes?: number | null };

export type Shape = "circle" | "square" | "diamond" | "triangle" | "hexagon" | "pentagon" | "star" | "cross";
export type Look = { word: string; shape: Shape; colour: string };

/** How each kind looks: never told apart by colour alone. */
const LOOKS: Record<string, Look> = {
  host: { word: "host", shape: "circle", colour: "--series-1" },
  address: { word: "external address", shape: "square", colour: "--informational" },
  name: { word: "name", shape: "diamond", colour: "--series-2" },
  technique: { word: "technique", shape: "triangle", colour: "--series-4" },
  detection: { word: "detection", shape: "pentagon", colour: "--medium" },
  incident: { word: "incident", shape: "star", colour: "--high" },
  campaign: { word: "campaign", shape: "hexagon", colour: "--critical" },
  indicator: { word: "indicator", shape: "cross", colour: "--low" },
};
const OTHER: Look = { word: "other", shape: "circle", colour: "--text-soft" };

export function lookOf(kind: string): Look {
  return LOOKS[kind] ?? { ...OTHER, word: kind };
}

/** Return the kinds that nodes have, in the order in which legends list them. */
export function kindsOf(nodes: GraphNode[]): string[] {
  const present = new Set(nodes.map((node) => node.kind));
  const known = Object.keys(LOOKS).filter((kind) => present.has(kind));
  return [...known, ...[...present].filter((kind) => !(kind in LOOKS)).sort()];
}

export type Neighbours = Map<string, Set<string>>;

/** Return with what each node is joined, whatever the direction. */
export function neighbours(nodes: GraphNode[], edges: GraphEdge[]): Neighbours {
  const found: Neighbours = new Map(nodes.map((node) => [node.id, new Set()]));
  for (const { source, target } of edges) {
    if (source === target || !found.has(source) || !found.has(target)) continue;
    found.get(source)?.add(target);
    found.get(target)?.add(source);
  }
  return found;
}

/** Return the nodes of a shortest way between two nodes, both included; none where no way leads. */
export function way(from: string, to: string, joined: Neighbours): string[] {
  const before = new Map<string, string | null>([[from, null]]);
  const queue = [from];
  for (let at = queue.shift(); at !== undefined && at !== to; at = queue.shift()) {
    for (const next of joined.get(at) ?? []) {
      if (before.has(next)) continue;
      before.set(next, at);
      queue.push(next);
    }
  }
  if (!before.has(to)) return [];
  const found: string[] = [];
  for (let at: string | null | undefined = to; at; at = before.get(at)) found.unshift(at);
  return found;
}
