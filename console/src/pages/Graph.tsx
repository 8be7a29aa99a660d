/** Explores how hosts, names, techniques and incidents hang together. */
import { useMemo } from "preact/hooks";
import { useGraph, without } from "../graph/asking";
import { Begin } from "../graph/Begin";
import style from "../graph/Graph.module.css";
import { NodeDetail } from "../graph/NodeDetail";
import { count } from "../parts/amounts";
import { Button } from "../parts/Button";
import { Choices } from "../parts/Choices";
import { GraphView } from "../parts/GraphView";
import { kindsOf, lookOf, neighbours, way } from "../parts/network";
import { Page } from "../parts/Page";
import { useParameters } from "../parts/parameters";
import { Empty, Shown } from "../parts/States";

const DAYS = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "1 year"],
] as const;
const DEPTHS = [
  ["1", "1 step"],
  ["2", "2 steps"],
  ["3", "3 steps"],
] as const;
const SEPARATOR = "\n";

function listed(text: string | null): string[] {
  return text ? text.split(SEPARATOR) : [];
}

export default function Graph() {
  const [parameters, put] = useParameters();
  const node = parameters.get("node") ?? "";
  const days = DAYS.find(([each]) => each === parameters.get("days"))?.[0] ?? "30";
  const depth = DEPTHS.find(([each]) => each === parameters.get("depth"))?.[0] ?? "2";
  const expanded = listed(parameters.get("more"));
  const asked = useGraph({ node, depth: Number(depth), days: Number(days) }, expanded);
  const begin = (from: string) => put({ node: from, more: null, selected: from, from: null });
  return (
    <Page title="Graph" note="What incidents join: hosts, names, techniques, campaigns and indicators">
      <div class={style.tools}>
        <Begin node={node} begin={begin} />
        {node && <Choices label="Steps" values={DEPTHS} value={depth} choose={(each) => put({ depth: each })} />}
        <Choices label="Time" values={DAYS} value={days} choose={(each) => put({ days: each })} />
      </div>
      <Shown of={asked.first} what="the graph">
        {() => asked.graph && <Explorer graph={asked.graph} begin={begin} />}
      </Shown>
    </Page>
  );
}

type Graph = NonNullable<ReturnType<typeof useGraph>["graph"]>;

function Explorer({ graph, begin }: { graph: Graph; begin: (node: string) => void }) {
  const [parameters, put] = useParameters();
  const [selected, from] = [parameters.get("selected"), parameters.get("from")];
  const [hide, more] = [parameters.get("hide"), parameters.get("more")];
  const hidden = useMemo(() => new Set(listed(hide)), [hide]);
  const shown = useMemo(() => without(graph, hidden), [graph, hidden]);
  const joined = useMemo(() => neighbours(shown.nodes, shown.edges), [shown]);
  const found = useMemo(
    () => (from && selected && from !== selected ? way(from, selected, joined) : []),
    [from, selected, joined],
  );
  const marked = useMemo(() => new Set(found), [found]);
  const chosen = shown.nodes.find((each) => each.id === selected);
  const expand = (id: string) => put({ more: [...new Set([...listed(more), id])].join(SEPARATOR) });
  if (graph.nodes.length === 0)
    return <Empty title="Nothing to draw yet">The graph grows from incidents: there are none in this time.</Empty>;
  return (
    <>
      <Kinds graph={graph} hidden={hidden} hide={(kinds) => put({ hide: kinds.join(SEPARATOR) })} />
      {from && <Way from={from} to={selected} found={found} graph={graph} clear={() => put({ from: null })} />}
      <GraphView
        title={parameters.get("node") ? "Around it" : "The recent picture"}
        nodes={shown.nodes}
        edges={shown.edges}
        selected={chosen?.id ?? null}
        onSelect={(id) => put({ selected: id }, true)}
        onOpen={expand}
        marked={marked}
        height={580}
      >
        {chosen && (
          <NodeDetail
            node={chosen}
            degree={joined.get(chosen.id)?.size ?? 0}
            isExpanded={listed(more).includes(chosen.id)}
            expand={() => expand(chosen.id)}
            begin={() => begin(chosen.id)}
            from={() => put({ from: chosen.id })}
          />
        )}
      </GraphView>
      <p class="soft">
        Double click or Enter on a chosen node adds what lies around it.
        {graph.leftOut > 0 && ` ${count(graph.leftOut)} more nodes are left out: begin with one of them.`}
      </p>
    </>
  );
}

type KindsProps = { graph: Graph; hidden: ReadonlySet<string>; hide: (kinds: string[]) => void };

function Kinds({ graph, hidden, hide }: KindsProps) {
  const turn = (kind: string) =>
    hide(hidden.has(kind) ? [...hidden].filter((each) => each !== kind) : [...hidden, kind]);
  return (
    <fieldset class={style.kinds}>
      <legend class="unseen">Kinds that are shown</legend>
      {kindsOf(graph.nodes).map((kind) => (
        <label key={kind}>
          <input type="checkbox" checked={!hidden.has(kind)} onChange={() => turn(kind)} /> {lookOf(kind).word}{" "}
          <span class="soft">{count(graph.nodes.filter((node) => node.kind === kind).length)}</span>
        </label>
      ))}
    </fieldset>
  );
}

type WayProps = { from: string; to: string | null; found: string[]; graph: Graph; clear: () => void };

function Way({ from, to, found, graph, clear }: WayProps) {
  const label = (id: string) => graph.nodes.find((node) => node.id === id)?.label ?? id;
  return (
    <p class={style.way} role="status">
      <span>{told(from, to, found, label)}</span> <Button onClick={clear}>End</Button>
    </p>
  );
}

function told(from: string, to: string | null, found: string[], label: (id: string) => string): string {
  if (!to || to === from) return `Choose where the way from ${label(from)} shall lead.`;
  if (found.length === 0) return `No way leads from ${label(from)} to ${label(to)} in this picture.`;
  return `${found.length - 1} ${found.length === 2 ? "step" : "steps"}: ${found.map(label).join(" → ")}`;
}
