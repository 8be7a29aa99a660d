/** Draws graphs by WebGL with sigma; loaded where a graph is shown. */
import Graph from "graphology";
import Sigma from "sigma";
import { colourOf } from "../style/colours";
import { dragAsDrawn } from "./dragging";
import LayoutWorker from "./layout.worker?worker";
import { legible } from "./legible";
import { type GraphEdge, type GraphNode, lookOf, type Neighbours, neighbours } from "./network";
import { SHAPES } from "./shapes";

export type Picture = { nodes: GraphNode[]; edges: GraphEdge[] };
export type Heard = { select: (id: string | null) => void; open: (id: string) => void; ready: () => void };

type NodeLook = { x: number; y: number; size: number; shape: string; colour: string; label: string };
type EdgeLook = { colour: string };
type State = { isLit: boolean };
type Attributes = Record<string, unknown>;
type Primitives = { readonly nodes: { readonly shapes: typeof SHAPES } };
type Focus = { isFocused: boolean };
type Drawn = Sigma<NodeLook, EdgeLook, Attributes, State, State, Focus, Primitives>;
type Lit = { nodes: string[]; edges: string[] };

/** Up to so many nodes all have their label, where there is room. */
const FEW_NODES = 80;
/** Beyond so many nodes a picture is dragged as it was drawn: without a graphics card a frame takes too long to draw. */
const MANY_NODES = 2_000;
/** Beyond so many edges they are left out while the picture moves. */
const MANY_EDGES = 3_000;
const FAINT = 0.12;
const SMALLEST = 4;
/** Beyond so many nodes they are drawn smaller, so that they do not hide one another. */
const CROWD = 800;
const MOST_SIGNS = 32;

export class GraphCanvas {
  private readonly graph = new Graph<NodeLook, EdgeLook>({ type: "undirected", allowSelfLoops: false });
  private readonly sigma: Drawn;
  private worker: Worker | null = null;
  private joined: Neighbours = new Map();
  private hovered: string | null = null;
  private selected: string | null = null;
  private marked: ReadonlySet<string> = new Set();
  private lit: Lit = { nodes: [], edges: [] };

  constructor(
    frame: HTMLElement,
    private readonly heard: Heard,
  ) {
    this.sigma = begin(this.graph, frame);
    dragAsDrawn(this.sigma as unknown as Sigma, () => this.graph.order > MANY_NODES);
    this.sigma.on("enterNode", ({ node }) => this.hover(node));
    this.sigma.on("leaveNode", () => this.hover(null));
    this.sigma.on("clickNode", ({ node }) => heard.select(node));
    this.sigma.on("clickStage", () => heard.select(null));
    this.sigma.on("doubleClickNode", (event) => {
      event.preventSigmaDefault();
      heard.open(event.node);
    });
  }

  /** Show a graph; what was shown before stays about where it was. */
  show({ nodes, edges }: Picture): void {
    this.worker?.terminate();
    const worker = new LayoutWorker();
    this.worker = worker;
    const pairs = pairsOf(nodes, edges);
    worker.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      worker.terminate();
      this.take(nodes, pairs, data);
      this.joined = neighbours(nodes, edges);
      this.light();
      this.heard.ready();
    };
    worker.postMessage({ order: nodes.length, edges: new Uint32Array(pairs.flat()), known: this.places(nodes) });
  }

  /** Choose a node, and mark others that belong together, such as a way. */
  choose(selected: string | null, marked: ReadonlySet<string>): void {
    this.selected = selected;
    this.marked = marked;
    this.light();
  }

  /** Move to a node. */
  center(id: string): void {
    const at = this.sigma.getNodeDisplayData(id);
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (at) void this.sigma.getCamera().animate({ x: at.x, y: at.y }, { duration: isStill ? 0 : 250 });
  }

  /** Show all of it, or more or less of it. */
  zoom(way: "in" | "out" | "all"): void {
    const camera = this.sigma.getCamera();
    const ratio = { in: camera.ratio / 1.5, out: camera.ratio * 1.5, all: 1 }[way];
    void camera.animate(way === "all" ? { x: 0.5, y: 0.5, ratio } : { ratio }, { duration: 150 });
  }

  end(): void {
    this.worker?.terminate();
    this.sigma.kill();
  }

  private places(nodes: GraphNode[]): Float32Array {
    return new Float32Array(
      nodes.flatMap(({ id }) =>
        this.graph.hasNode(id)
          ? [this.graph.getNodeAttribute(id, "x"), this.graph.getNodeAttribute(id, "y")]
          : [Number.NaN, Number.NaN],
      ),
    );
  }

  private take(nodes: GraphNode[], pairs: [number, number][], places: Float32Array): void {
    this.lit = { nodes: [], edges: [] };
    this.graph.clear();
    const colours = new Map<string, string>();
    const degrees = new Uint32Array(nodes.length);
    const scale = Math.max(0.4, Math.min(1, Math.sqrt(CROWD / nodes.length)));
    for (const at of pairs.flat()) degrees[at] = (degrees[at] ?? 0) + 1;
    for (const [at, node] of nodes.entries()) {
      const { colour: token, shape } = lookOf(node.kind);
      if (!colours.has(token)) colours.set(token, colourOf(`var(${token})`));
      const [x, y] = [places[at * 2] ?? 0, places[at * 2 + 1] ?? 0];
      const size = scale * (SMALLEST + Math.min(Math.sqrt(degrees[at] ?? 0), 10));
      this.graph.mergeNode(node.id, {
        x,
        y,
        size,
        shape,
        colour: colours.get(token) ?? "",
        label: cut(legible(node.label)),
      });
    }
    const colour = colourOf("var(--line-strong)");
    for (const [from, to] of pairs) this.graph.mergeEdge(nodes[from]?.id, nodes[to]?.id, { colour });
    this.sigma.setSettings({
      hideEdgesOnMove: pairs.length > MANY_EDGES,
      hideLabelsOnMove: pairs.length > MANY_EDGES,
      labelRenderedSizeThreshold: nodes.length > FEW_NODES ? 7 : 0,
    });
  }

  private hover(node: string | null): void {
    this.hovered = node;
    this.light();
  }

  /* What is pointed at counts before what is marked, and that before what is selected. */
  private light(): void {
    const center = this.hovered ?? (this.marked.size ? null : this.selected);
    const around = center === null ? [...this.marked] : [center, ...(this.joined.get(center) ?? [])];
    const nodes = around.filter((id) => this.graph.hasNode(id));
    this.set(this.lit, false);
    this.lit = { nodes, edges: this.between(nodes, center) };
    this.set(this.lit, true);
    this.sigma.setGraphState({ isFocused: nodes.length > 0 });
  }

  /* Edges of the center alone, or among all that is marked. */
  private between(nodes: string[], center: string | null): string[] {
    if (center !== null) return this.graph.hasNode(center) ? this.graph.edges(center) : [];
    const among = new Set(nodes);
    return nodes.flatMap((node) =>
      this.graph.filterEdges(node, (_e, _l, from, to) => among.has(from) && among.has(to)),
    );
  }

  private set({ nodes, edges }: Lit, isLit: boolean): void {
    this.sigma.setNodesState(nodes, { isLit });
    this.sigma.setEdgesState(edges, { isLit });
  }
}

/* Longer labels would lie over others; the list has them whole. */
function cut(label: string): string {
  return label.length > MOST_SIGNS ? `${label.slice(0, MOST_SIGNS - 1)}…` : label;
}

function pairsOf(nodes: GraphNode[], edges: GraphEdge[]): [number, number][] {
  const places = new Map(nodes.map((node, at) => [node.id, at]));
  return edges.flatMap(({ source, target }): [number, number][] => {
    const [from, to] = [places.get(source), places.get(target)];
    return from === undefined || to === undefined || from === to ? [] : [[from, to]];
  });
}

function begin(graph: Graph<NodeLook, EdgeLook>, frame: HTMLElement): Drawn {
  const faint = (_: unknown, { isLit }: State, { isFocused }: Focus) => (isFocused && !isLit ? FAINT : 1);
  const accent = colourOf("var(--accent)");
  return new Sigma(graph, frame, {
    primitives: { nodes: { shapes: SHAPES } },
    customNodeState: { isLit: false },
    customEdgeState: { isLit: false },
    customGraphState: { isFocused: false },
    styles: {
      nodes: {
        x: { attribute: "x" },
        y: { attribute: "y" },
        size: { attribute: "size" },
        shape: { attribute: "shape" },
        color: { attribute: "colour" },
        opacity: faint,
        label: { attribute: "label" },
        labelColor: colourOf("var(--text)"),
        labelSize: 12,
        labelFont: getComputedStyle(document.body).fontFamily,
        labelVisibility: (_, { isLit }, { isFocused }) => (isLit ? "visible" : isFocused ? "hidden" : "auto"),
        cursor: "pointer",
      },
      edges: {
        color: ({ colour }, { isLit }) => (isLit ? accent : colour),
        size: (_, { isLit }) => (isLit ? 2 : 1),
        opacity: (_, { isLit }, { isFocused }) => (isLit ? 1 : isFocused ? FAINT / 2 : 0.45),
      },
    },
    settings: {
      itemSizesReference: "screen",
      allowInvalidContainer: true, // the page may be left before the picture has a size
      labelDensity: 0.6,
      labelRenderedSizeThreshold: 7,
      stagePadding: 36,
      gestureTarget: "graph",
    },
  });
}
