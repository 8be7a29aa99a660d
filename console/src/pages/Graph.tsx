import { useQuery } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import { GraphView } from "../parts/GraphView";
import type { GraphEdge, GraphNode } from "../parts/network";
import { Shown } from "../parts/States";

type Answer = { nodes: GraphNode[]; edges: GraphEdge[] };
export default function Graph() {
  const asked = useQuery({
    queryKey: ["graph"],
    queryFn: () => answered(api.GET("/api/v1/graph" as never)) as Promise<Answer>,
  });
  return (
    <>
      <h1>Graph</h1>
      <Shown of={asked} what="the graph">
        {({ nodes, edges }) => <GraphView title="Recent picture" nodes={nodes} edges={edges} height={700} />}
      </Shown>
    </>
  );
}
