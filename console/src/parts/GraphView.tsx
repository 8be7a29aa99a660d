/** Shows what is joined to what: as a picture that one moves and points at, and as a list for the keyboard. */
import { Maximize, Minus, Plus } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { useColours } from "../style/colours";
import { count } from "./amounts";
import { Button } from "./Button";
import type { GraphCanvas } from "./canvas";
import style from "./GraphView.module.css";
import { type GraphEdge, type GraphNode, kindsOf, lookOf, type Neighbours, neighbours } from "./network";
import { ShapeMark } from "./ShapeMark";

export type Props = {
  title: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
  selected?: string | null;
  onSelect?: (id: string | null) => void;
  /** Is called on double click or Enter. */
  onOpen?: (id: string) => void;
  /** Are shown as belonging together, such as a way between two nodes. */
  marked?: ReadonlySet<string>;
  height?: number;
  /** Leave the list out where a table beside the picture says the same. */
  isListed?: boolean;
  /** Stands above the list: what is told of the chosen node. */
  children?: ComponentChildren;
};

const NONE: ReadonlySet<string> = new Set();
const LISTED = 100;

export function GraphView({
  title,
  nodes,
  edges,
  selected = null,
  onSelect,
  onOpen,
  marked = NONE,
  height = 480,
  isListed = true,
  children,
}: Props) {
  const id = useId();
  const [own, setOwn] = useState<string | null>(null);
  const chosen = onSelect ? selected : own;
  const choose = onSelect ?? setOwn;
  const joined = useMemo(() => neighbours(nodes, edges), [nodes, edges]);
  const canvas = useRef<GraphCanvas | null>(null);
  return (
    <figure class={style.graph} aria-labelledby={id}>
      <figcaption id={id} class={style.caption}>
        <strong>{title}</strong>{" "}
        <span class="soft">
          {count(nodes.length)} nodes, {count(edges.length)} edges
        </span>
        <Legend nodes={nodes} />
      </figcaption>
      <div class={`${style.both} ${isListed ? style.listed : ""}`} style={{ height: `${height}px` }}>
        <Picture {...{ nodes, edges, chosen, choose, marked, canvas }} open={onOpen ?? choose} />
        {isListed && (
          <List
            about={children}
            {...{ nodes, joined, chosen }}
            choose={(node) => {
              choose(node);
              canvas.current?.center(node);
            }}
            open={onOpen}
          />
        )}
      </div>
    </figure>
  );
}

function Legend({ nodes }: { nodes: GraphNode[] }) {
  return (
    <ul class={style.legend} aria-label="Kinds of nodes">
      {kindsOf(nodes).map((kind) => (
        <li key={kind}>
          <ShapeMark kind={kind} /> {lookOf(kind).word}
        </li>
      ))}
    </ul>
  );
}

type Shown = {
  nodes: GraphNode[];
  edges: GraphEdge[];
  chosen: string | null;
  choose: (id: string | null) => void;
  open: (id: string) => void;
  marked: ReadonlySet<string>;
  canvas: { current: GraphCanvas | null };
};

function Picture({ nodes, edges, chosen, choose, open, marked, canvas }: Shown) {
  const frame = useRef<HTMLDivElement>(null);
  const [isPlaced, setPlaced] = useState(false);
  const colours = useColours();
  const now = useRef({ nodes, edges, chosen, marked, choose, open });
  now.current = { nodes, edges, chosen, marked, choose, open };
  useEffect(() => {
    let isOver = false;
    void import("./canvas").then(({ GraphCanvas }) => {
      if (isOver || !frame.current) return;
      canvas.current = new GraphCanvas(frame.current, {
        select: (id) => now.current.choose(id),
        open: (id) => now.current.open(id),
        ready: () => setPlaced(true),
      });
      canvas.current.show(now.current);
      canvas.current.choose(now.current.chosen, now.current.marked);
    });
    return () => {
      isOver = true;
      canvas.current?.end();
      canvas.current = null;
    };
  }, [colours]);
  useEffect(() => canvas.current?.show({ nodes, edges }), [nodes, edges]);
  useEffect(() => canvas.current?.choose(chosen, marked), [chosen, marked]);
  return (
    <div class={style.frame} data-placed={isPlaced}>
      <div ref={frame} class={style.picture} aria-hidden="true" />
      {!isPlaced && (
        <p class={style.placing} role="status">
          Placing {count(nodes.length)} nodes
        </p>
      )}
      <div class={style.zoom}>
        <Button aria-label="Nearer" title="Nearer" onClick={() => canvas.current?.zoom("in")}>
          <Plus size={14} />
        </Button>
        <Button aria-label="Farther" title="Farther" onClick={() => canvas.current?.zoom("out")}>
          <Minus size={14} />
        </Button>
        <Button aria-label="Show all of it" title="Show all of it" onClick={() => canvas.current?.zoom("all")}>
          <Maximize size={14} />
        </Button>
      </div>
    </div>
  );
}

type Listed = {
  about: ComponentChildren;
  nodes: GraphNode[];
  joined: Neighbours;
  chosen: string | null;
  choose: (id: string) => void;
  open: ((id: string) => void) | undefined;
};

function List({ about, nodes, joined, chosen, choose, open }: Listed) {
  const [text, setText] = useState("");
  const found = useMemo(() => matching(nodes, text, joined), [nodes, text, joined]);
  const near = chosen === null ? null : joined.get(chosen);
  return (
    <div class={style.list}>
      {about}
      <input
        type="search"
        class={style.find}
        aria-label="Find a node"
        placeholder="Find a node"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <ul>
        {found.slice(0, LISTED).map((node) => (
          <li key={node.id}>
            <button
              type="button"
              class={`${style.node} ${near?.has(node.id) ? style.near : ""}`}
              aria-pressed={node.id === chosen}
              title={node.label}
              onClick={() => choose(node.id)}
              onDblClick={() => open?.(node.id)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && node.id === chosen && open) {
                  event.preventDefault();
                  open(node.id);
                }
              }}
            >
              <ShapeMark kind={node.kind} />
              <span class="unseen">{lookOf(node.kind).word}</span>
              <span class={style.label}>{node.label}</span>
              <span class={style.degree} title="joined to so many">
                {joined.get(node.id)?.size ?? 0}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p class={style.left}>{leftOut(found.length)}</p>
    </div>
  );
}

function matching(nodes: GraphNode[], text: string, joined: Neighbours): GraphNode[] {
  const part = text.trim().toLowerCase();
  const found = nodes.filter(
    (node) => node.label.toLowerCase().includes(part) || lookOf(node.kind).word.includes(part),
  );
  const degree = (node: GraphNode) => joined.get(node.id)?.size ?? 0;
  return found.sort((a, b) => degree(b) - degree(a) || (a.id < b.id ? -1 : 1));
}

function leftOut(found: number): string {
  if (found === 0) return "No node is called so";
  return found > LISTED ? `The ${LISTED} most joined of ${count(found)}` : `${count(found)} shown`;
}
