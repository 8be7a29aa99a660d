/** Shows in short what waits, what was lost, and what is switched off so that the rest goes on. */
import { useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { answered, api } from "../../api/client";
import { bytes, count, percent } from "../../parts/amounts";
import { KeyValue } from "../../parts/KeyValue";
import { Panel } from "../../parts/Panel";
import { State } from "../../parts/State";
import { Shown } from "../../parts/States";
import { ofMetric, type Sample, samplesOf, total } from "./exposition";

const EVERY_MS = 10_000;

export function Figures() {
  const metrics = useQuery({
    queryKey: ["metrics"],
    queryFn: async () => samplesOf(await answered(api.GET("/metrics", { parseAs: "text" }))),
    refetchInterval: EVERY_MS,
  });
  return (
    <Panel title="Figures" note="Of the whole platform since it began; monitoring finds all of them at /metrics.">
      <Shown of={metrics} what="figures">
        {(samples) => <KeyValue rows={rowsOf(samples)} />}
      </Shown>
    </Panel>
  );
}

const NAME = "infraspectre_";

function rowsOf(samples: Sample[]): [string, ComponentChildren][] {
  const sum = (name: string, label?: [string, string]) => total(samples, NAME + name, label);
  const [free, size] = [sum("disk_free_bytes", ["folder", "data"]), sum("disk_size_bytes", ["folder", "data"])];
  return [
    ["Flows judged", amount(sum("worker_flows", ["state", "done"]))],
    ["Flows that wait", amount(sum("worker_flows", ["state", "queued"]))],
    ["Entries of the log that wait", amount(sum("worker_waiting_entries"))],
    ["Shed at the door", loss(sum("events_shed_bytes_total"), bytes)],
    ["Flows that sensors lost", loss(sum("sensor_lost_flows_total"), count)],
    ["Messages that wait for receivers", amount(sum("outbox_waiting_entries"))],
    ["Switched off after faults", <Breakers key="breakers" samples={samples} />],
    ["Restarts of processes", loss(sum("process_restarts"), count)],
    ["Free space", free === null || !size ? "–" : `${bytes(free)}, ${percent(free / size)}`],
  ];
}

const amount = (value: number | null) => (value === null ? "–" : count(value));

function loss(value: number | null, write: (value: number) => string): ComponentChildren {
  if (value === null) return "–";
  return value > 0 ? <State standing="bad">{write(value)}</State> : "none";
}

/** A breaker that is open skips a part of the work, so that its faults stay its own. */
function Breakers({ samples }: { samples: Sample[] }) {
  const open = ofMetric(samples, `${NAME}breaker_open`).filter((each) => each.value > 0);
  if (open.length === 0) return <>nothing</>;
  return <State standing="bad">{open.map((each) => each.labels.name ?? "").join(", ")}</State>;
}
