/** Places the nodes of a graph: the same graph always in the same way. */
import Graph from "graphology";
import forceAtlas2 from "graphology-layout-forceatlas2";

/** Is a graph by numbers: so many nodes, edges as pairs of places, and where nodes are already (NaN: nowhere). */
export type Task = { order: number; edges: Uint32Array; known: Float32Array };

const SEED = 0x1f5bec;
/** Steps are fewer in large graphs, so that all of it takes seconds. */
const WORK = 600_000;
const FEWEST = 40;
const MOST = 400;
const LARGE = 400;

/** Return x and y of each node. */
export function placed({ order, edges, known }: Task): Float32Array {
  const graph = seeded(order, known);
  for (let at = 0; at < edges.length; at += 2) graph.mergeEdge(edges[at], edges[at + 1]);
  const iterations = Math.round(Math.min(Math.max(WORK / Math.max(order, 1), FEWEST), MOST));
  const settings = {
    ...forceAtlas2.inferSettings(order),
    barnesHutOptimize: order > LARGE,
    gravity: 1,
    adjustSizes: false,
  };
  forceAtlas2.assign(graph, { iterations, settings });
  const found = new Float32Array(order * 2);
  graph.forEachNode((node, { x, y }) => found.set([x, y], Number(node) * 2));
  return found;
}

function seeded(order: number, known: Float32Array): Graph {
  const graph = new Graph({ type: "undirected", allowSelfLoops: false });
  const chance = chances(SEED);
  const width = Math.sqrt(order) * 10;
  for (let node = 0; node < order; node++) {
    const [x, y] = [(chance() - 0.5) * width, (chance() - 0.5) * width];
    const [kept, keptY] = [known[node * 2] ?? Number.NaN, known[node * 2 + 1] ?? Number.NaN];
    graph.addNode(node, Number.isNaN(kept) ? { x, y } : { x: kept, y: keptY });
  }
  return graph;
}

/** Return a source of numbers from 0 to 1 that is the same each time (Mulberry32). */
export function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
