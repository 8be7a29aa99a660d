/** Shows who did what to whom. */
import { useLocation } from "wouter-preact";
import { GraphView } from "../parts/GraphView";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { useGraph } from "./asking";

export function Picture({ id }: { id: string }) {
  const asked = useGraph(id);
  const [, go] = useLocation();
  const open = (node: string) => {
    const [kind, ...value] = node.split(":");
    if (kind === "host" || kind === "address") go(`/hosts/${encodeURIComponent(value.join(":"))}`);
    if (kind === "technique") go(`/attack?technique=${value[0]}`);
  };
  const left = asked.data?.left_out.nodes ?? 0;
  return (
    <Panel title="Who did what to whom" note={left > 0 && `${left} more are not shown`}>
      <Shown of={asked} what="the graph">
        {({ nodes, edges }) =>
          nodes.length === 0 ? (
            <p class="soft">Nothing is joined to this incident any more.</p>
          ) : (
            <GraphView
              title="Hosts, names, findings and techniques"
              nodes={nodes}
              edges={edges}
              onOpen={open}
              height={420}
            />
          )
        }
      </Shown>
    </Panel>
  );
}
