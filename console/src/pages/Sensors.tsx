/** Shows the sensors: whether they send, how much, and what was lost on the way. */
import { useQuery } from "@tanstack/preact-query";
import { api, listed } from "../api/client";
import type { SensorStatus } from "../api/schema";
import { bytes, count } from "../parts/amounts";
import { CopyText } from "../parts/CopyText";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { type Standing, State } from "../parts/State";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import style from "./Sensors.module.css";

const EVERY_MS = 10_000;
const MOST = 200;
const STANDING: Record<SensorStatus["state"], Standing> = {
  connected: "good",
  silent: "waiting",
  disconnected: "bad",
  revoked: "off",
};

export default function Sensors() {
  const sensors = useQuery({
    queryKey: ["sensors"],
    queryFn: () =>
      listed<SensorStatus>(api.GET("/api/v1/sensors", { params: { query: { limit: MOST, order: "name" } } })),
    refetchInterval: EVERY_MS,
  });
  return (
    <Page
      title="Sensors"
      note="They capture where the traffic is, and send flows; packets only of an incident, if they keep any. Whatever is lost is counted."
    >
      <Panel title="Sensors">
        <Shown of={sensors} what="sensors">
          {(rows) => (
            <Rows
              caption="Sensors"
              rows={rows}
              columns={COLUMNS}
              keyOf={(sensor) => sensor.name}
              empty="No sensor has sent anything yet: add one as below"
            />
          )}
        </Shown>
      </Panel>
      <Adding />
    </Page>
  );
}

const amountOf = (amount: number | null, write: (value: number) => string) => (amount === null ? "–" : write(amount));
const sum = (amounts: Record<string, number>) => Object.values(amounts).reduce((one, other) => one + other, 0);

const COLUMNS: Column<SensorStatus>[] = [
  { title: "Name", show: (each) => <strong>{each.name}</strong> },
  {
    title: "State",
    show: (each) => (
      <span title={each.reason}>
        <State standing={STANDING[each.state]}>{each.state}</State>
      </span>
    ),
  },
  { title: "Last seen", show: (each) => (each.seen_at ? <Time at={each.seen_at} /> : "never") },
  { title: "Flows", align: "right", show: (each) => count(each.flows) },
  { title: "Packets", align: "right", show: (each) => amountOf(each.packets, count) },
  { title: "Traffic", align: "right", show: (each) => amountOf(each.bytes, bytes) },
  { title: "Waiting there", align: "right", show: (each) => amountOf(each.queued, count) },
  { title: "Lost", align: "right", show: (each) => <Lost lost={{ ...each.lost, ...each.shed }} /> },
  {
    title: "Packets kept",
    align: "right",
    show: (each) => (each.keeps_packets ? bytes(each.ring.held_bytes ?? 0) : "none"),
  },
  {
    title: "Clock ahead, s",
    align: "right",
    show: (each) => (Math.abs(each.clock_ahead_s) < 0.05 ? "0.0" : each.clock_ahead_s.toFixed(1)),
  },
  { title: "From", show: (each) => each.addresses.join(", ") },
  { title: "Version", show: (each) => each.version },
];

function Lost({ lost }: { lost: Record<string, number> }) {
  const all = sum(lost);
  const reasons = Object.entries(lost).filter(([, amount]) => amount > 0);
  if (all === 0) return <>0</>;
  return (
    <details class={style.lost}>
      <summary>{count(all)}</summary>
      <ul>
        {reasons.map(([reason, amount]) => (
          <li key={reason}>
            {reason.replaceAll("_", " ")}: {count(amount)}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Adding() {
  return (
    <Panel title="Add a sensor" note="Where the authority is, then on the machine that captures.">
      <ol class={style.steps}>
        <li>
          <CopyText text="infraspectre certificates issue NAME --tenant default" label="the first command" />
        </li>
        <li>
          <CopyText
            text={`infraspectre sensor --interface eth1 --server ${location.hostname}:8441 --certificate NAME.pem --key NAME.key --ca ca.pem`}
            label="the second command"
          />
        </li>
      </ol>
      <p class="soft">The settings of the server have to say that it listens to sensors (sensors.listen).</p>
    </Panel>
  );
}
