/** Lists incidents and detections that name a host. */
import { Link } from "wouter-preact";
import type { components } from "../api/schema";
import { type Column, Rows } from "../parts/Rows";
import { Score } from "../parts/Score";
import { Severity } from "../parts/Severity";
import { Time } from "../parts/Time";
import type { HostDetail } from "./asking";
import style from "./Host.module.css";

type Incident = components["schemas"]["IncidentSummary"];

const INCIDENTS: Column<Incident>[] = [
  { title: "Severity", show: (row) => <Severity level={row.level} /> },
  { title: "Score", show: (row) => <Score {...row} /> },
  { title: "Incident", show: (row) => <Link href={`/incidents/${row.incident_id}`}>{row.title}</Link> },
  { title: "Status", show: (row) => row.status },
  { title: "Verdict", show: (row) => row.verdict.replaceAll("_", " ") || <span class="soft">none</span> },
  { title: "Last seen", align: "right", show: (row) => <Time at={row.last_seen} /> },
];

export function Incidents({ rows }: { rows: Incident[] }) {
  return (
    <Rows
      caption="Its incidents"
      rows={rows}
      columns={INCIDENTS}
      keyOf={(row) => row.incident_id}
      empty="It takes part in no incident"
    />
  );
}

/** Is what lists tell of a detection. */
type Detection = {
  detection_id: string;
  at: string;
  severity: string;
  category: string;
  summary: string;
  techniques: { id: string; name: string }[];
};

const DETECTIONS: Column<Detection>[] = [
  { title: "Severity", show: (row) => <Severity level={row.severity} /> },
  { title: "What", show: (row) => row.category.replaceAll("_", " ") },
  {
    title: "Evidence",
    show: (row) => (
      <span class={style.cut} title={row.summary}>
        {row.summary}
      </span>
    ),
  },
  {
    title: "Techniques",
    show: (row) =>
      row.techniques.map((each) => (
        <Link key={each.id} class={style.technique} href={`/attack?technique=${each.id}`} title={each.name}>
          {each.id}
        </Link>
      )),
  },
  { title: "When", align: "right", show: (row) => <Time at={row.at} /> },
];

export function Detections({ rows }: { rows: HostDetail["detections"] }) {
  return (
    <Rows
      caption="Its detections"
      rows={rows as Detection[]}
      columns={DETECTIONS}
      keyOf={(row) => row.detection_id}
      empty="No detection names it"
    />
  );
}
