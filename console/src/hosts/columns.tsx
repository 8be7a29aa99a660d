/** Shows a host as a row, or as a card on narrow screens. */
import { Link } from "wouter-preact";
import { brief, bytes } from "../parts/amounts";
import type { Column } from "../parts/DataTable";
import { Severity } from "../parts/Severity";
import { Time } from "../parts/Time";
import type { Host } from "./asking";
import style from "./columns.module.css";

export function hostPath(address: string): string {
  return `/hosts/${encodeURIComponent(address)}`;
}

function Who({ row }: { row: Host }) {
  return (
    <span class={style.who}>
      <Link href={hostPath(row.address)} class={style.address} tabIndex={-1}>
        {row.address}
      </Link>
      {row.name && (
        <span class={style.name} title={row.name}>
          {row.name}
        </span>
      )}
    </span>
  );
}

const none = <span class="soft">–</span>;

function Roles({ row }: { row: Host }) {
  if (row.roles.length === 0) return row.place === "outside" ? <span class="soft">outside</span> : none;
  const words = row.roles.join(", ");
  return <span title={words}>{words}</span>;
}

function Worst({ row }: { row: Host }) {
  if (!row.level) return <span class="soft">none open</span>;
  return (
    <span class={style.worst}>
      <Severity level={row.level} />
      {row.incidents > 1 && <span class="soft">{row.incidents} open</span>}
    </span>
  );
}

export const COLUMNS: Column<Host>[] = [
  { key: "address", title: "Host", sortable: true, show: (row) => <Who row={row} /> },
  {
    key: "criticality",
    title: "Criticality",
    width: "7.5rem",
    wideOnly: true,
    show: (row) => (row.criticality ? <Severity level={row.criticality} /> : none),
  },
  { key: "role", title: "Roles", width: "9rem", wideOnly: true, show: (row) => <Roles row={row} /> },
  { key: "level", title: "Worst open incident", width: "11.5rem", show: (row) => <Worst row={row} /> },
  {
    key: "value",
    title: "Score",
    width: "5.5rem",
    align: "right",
    sortable: true,
    show: (row) => (row.value === null ? none : <strong>{row.value.toFixed(0)}</strong>),
  },
  {
    key: "flows",
    title: "Flows",
    width: "5.5rem",
    align: "right",
    sortable: true,
    wideOnly: true,
    show: (row) => brief(row.flows),
  },
  {
    key: "bytes_in",
    title: "In",
    width: "6rem",
    align: "right",
    sortable: true,
    wideOnly: true,
    show: (row) => bytes(row.bytes_in),
  },
  {
    key: "bytes_out",
    title: "Out",
    width: "6rem",
    align: "right",
    sortable: true,
    wideOnly: true,
    show: (row) => bytes(row.bytes_out),
  },
  {
    key: "last_seen",
    title: "Last seen",
    width: "7rem",
    align: "right",
    sortable: true,
    show: (row) => (row.last_seen ? <Time at={row.last_seen} /> : none),
  },
];

export function Card({ row }: { row: Host }) {
  return (
    <div class={style.card}>
      <Who row={row} />
      <span class={style.end}>{row.level ? <Severity level={row.level} /> : <span class="soft">none open</span>}</span>
      <span class="soft">
        {bytes(row.bytes_in)} in · {bytes(row.bytes_out)} out
      </span>
      <span class={`${style.end} soft`}>{row.last_seen && <Time at={row.last_seen} />}</span>
    </div>
  );
}
