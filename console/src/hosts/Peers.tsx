/** Shows with whom a host talked most: as a table and as a picture. */
import { useMemo } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { bytes, count } from "../parts/amounts";
import { GraphView } from "../parts/GraphView";
import type { GraphEdge, GraphNode } from "../parts/network";
import { type Column, Rows } from "../parts/Rows";
import { Time } from "../parts/Time";
import type { HostDetail } from "./asking";
import { hostPath } from "./columns";
import style from "./Host.module.css";

type Peer = HostDetail["activity"]["peers"][number];

const COLUMNS: Column<Peer>[] = [
  { title: "Peer", show: (peer) => <Link href={hostPath(peer.address)}>{peer.address}</Link> },
  {
    title: "Name",
    show: (peer) => (
      <span class={style.cut} title={peer.name}>
        {peer.name}
      </span>
    ),
  },
  { title: "Flows", align: "right", show: (peer) => count(peer.flows) },
  { title: "Bytes", align: "right", show: (peer) => bytes(peer.bytes) },
  {
    title: "First seen",
    align: "right",
    show: (peer) => (
      <>
        {peer.is_new && <span class={style.new}>new</span>} <Time at={peer.first_seen} />
      </>
    ),
  },
];

export function Peers({ address, peers }: { address: string; peers: Peer[] }) {
  const [, go] = useLocation();
  const [nodes, edges] = useMemo(() => pictureOf(address, peers), [address, peers]);
  return (
    <div class={style.peers}>
      <Rows
        caption="Its peers"
        rows={peers}
        columns={COLUMNS}
        keyOf={(peer) => peer.address}
        empty="It talked to nobody"
      />
      {peers.length > 0 && (
        <GraphView
          title="Whom it talked to"
          nodes={nodes}
          edges={edges}
          isListed={false}
          onOpen={(id) => go(hostPath(id))}
          height={420}
        />
      )}
    </div>
  );
}

function pictureOf(address: string, peers: Peer[]): [GraphNode[], GraphEdge[]] {
  const nodes = peers.map((peer) => ({ id: peer.address, kind: "host", label: peer.name || peer.address }));
  const edges = peers.map((peer) => ({ source: address, target: peer.address, kind: "talked", bytes: peer.bytes }));
  return [[{ id: address, kind: "host", label: address }, ...nodes], edges];
}
