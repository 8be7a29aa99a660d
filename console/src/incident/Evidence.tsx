/** Lists the flows on which the incident rests. */
import { Link } from "wouter-preact";
import { answered, api } from "../api/client";
import { type PageOf, usePages } from "../api/pages";
import { bytes } from "../parts/amounts";
import { type Column, DataTable } from "../parts/DataTable";
import { Panel } from "../parts/Panel";
import { exact } from "../parts/Time";
import { KEY } from "./asking";

type Flow = {
  flow_id: string;
  started_at: string;
  orig_ip: string;
  orig_port: number;
  resp_ip: string;
  resp_port: number;
  protocol: string;
  app_protocol: string | null;
  orig_bytes: number;
  resp_bytes: number;
};

const PAGE = 100;

export function Evidence({ id }: { id: string }) {
  const list = usePages<Flow>([KEY, id, "flows"], async (after, signal) => {
    const params = { path: { incident_id: id }, query: { limit: PAGE, ...(after && { after }) } };
    const found = await answered(api.GET("/api/v1/incidents/{incident_id}/flows", { params, signal }));
    return found as unknown as PageOf<Flow>;
  });
  return (
    <Panel title="Evidence" note="the flows behind the findings, times in UTC">
      <DataTable
        label="Flows behind the findings"
        columns={COLUMNS}
        list={list}
        id={(flow) => flow.flow_id}
        height="396px"
        empty={<p class="soft">The flows are no longer kept: they are older than the platform keeps rows.</p>}
      />
    </Panel>
  );
}

const COLUMNS: Column<Flow>[] = [
  { key: "started_at", title: "Started", width: "9rem", show: (flow) => <Started flow={flow} /> },
  {
    key: "orig_ip",
    title: "From",
    width: "12rem",
    show: (flow) => <End address={flow.orig_ip} port={flow.orig_port} />,
  },
  { key: "resp_ip", title: "To", show: (flow) => <End address={flow.resp_ip} port={flow.resp_port} /> },
  {
    key: "protocol",
    title: "Protocol",
    width: "5.5rem",
    wideOnly: true,
    show: (flow) => flow.app_protocol || flow.protocol,
  },
  {
    key: "orig_bytes",
    title: "Sent",
    width: "5rem",
    align: "right",
    wideOnly: true,
    show: (flow) => bytes(flow.orig_bytes),
  },
  {
    key: "resp_bytes",
    title: "Received",
    width: "5.5rem",
    align: "right",
    wideOnly: true,
    show: (flow) => bytes(flow.resp_bytes),
  },
];

function End({ address, port }: { address: string; port: number }) {
  const text = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return (
    <span class="even" title={text}>
      {text}
    </span>
  );
}

function Started({ flow }: { flow: Flow }) {
  const filter = encodeURIComponent(`flow_id=${flow.flow_id}`);
  return (
    <Link href={`/flows?filter=${filter}`} title={exact(flow.started_at)}>
      {flow.started_at.slice(5, 10)} {flow.started_at.slice(11, 19)}
    </Link>
  );
}
