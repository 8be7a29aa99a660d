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
  end_reason: string;
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
      <p class="soft">
        Packets are not kept by the platform; where the sensor keeps captures, the community identity of a flow finds
        them.
      </p>
    </Panel>
  );
}

const COLUMNS: Column<Flow>[] = [
  { key: "started_at", title: "Started", width: "10rem", show: (flow) => <Started flow={flow} /> },
  { key: "orig_ip", title: "From", show: (flow) => <span class="even">{`${flow.orig_ip}:${flow.orig_port}`}</span> },
  { key: "resp_ip", title: "To", show: (flow) => <span class="even">{`${flow.resp_ip}:${flow.resp_port}`}</span> },
  {
    key: "protocol",
    title: "Protocol",
    width: "6.5rem",
    wideOnly: true,
    show: (flow) => flow.app_protocol || flow.protocol,
  },
  {
    key: "orig_bytes",
    title: "Sent",
    width: "6rem",
    align: "right",
    wideOnly: true,
    show: (flow) => bytes(flow.orig_bytes),
  },
  {
    key: "resp_bytes",
    title: "Received",
    width: "6rem",
    align: "right",
    wideOnly: true,
    show: (flow) => bytes(flow.resp_bytes),
  },
  { key: "end_reason", title: "Ended by", width: "6rem", wideOnly: true, show: (flow) => flow.end_reason },
];

function Started({ flow }: { flow: Flow }) {
  const filter = encodeURIComponent(`flow_id=${flow.flow_id}`);
  return (
    <Link href={`/flows?filter=${filter}`} title={exact(flow.started_at)}>
      {flow.started_at.slice(5, 10)} {flow.started_at.slice(11, 19)}
    </Link>
  );
}
