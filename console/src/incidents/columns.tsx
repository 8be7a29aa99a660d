/** Shows an incident as a row, or as a card on narrow screens. */
import { Link } from "wouter-preact";
import type { Column } from "../parts/DataTable";
import { Score } from "../parts/Score";
import { Severity } from "../parts/Severity";
import { Time } from "../parts/Time";
import type { Incident, Verdict } from "./asking";
import style from "./columns.module.css";
import { wordsOf } from "./verdicts";
import { First, StatusWord, VerdictWord } from "./words";

/** A verdict that was chosen by key and not given yet. */
export type Mark = { id: string; verdict: Verdict } | null;

function Title({ row }: { row: Incident }) {
  return (
    <Link href={`/incidents/${row.incident_id}`} class={style.title} title={row.title} tabIndex={-1}>
      {row.title}
    </Link>
  );
}

function Said({ row, mark }: { row: Incident; mark: Mark }) {
  if (mark?.id !== row.incident_id) return <VerdictWord verdict={row.verdict} />;
  return (
    <span class={style.mark}>
      {wordsOf(mark.verdict)} <kbd>Enter</kbd>
    </span>
  );
}

export function columnsOf(mark: Mark): Column<Incident>[] {
  return [
    { key: "level", title: "Severity", width: "8.5rem", show: (row) => <Severity level={row.level} /> },
    { key: "value", title: "Score", width: "9.5rem", sortable: true, show: (row) => <Score {...row} /> },
    { key: "title", title: "Incident", show: (row) => <Title row={row} /> },
    { key: "entities", title: "Hosts", width: "10.5rem", wideOnly: true, show: (row) => <First of={row.entities} /> },
    {
      key: "techniques",
      title: "Techniques",
      width: "8rem",
      wideOnly: true,
      show: (row) => <First of={row.techniques} />,
    },
    { key: "status", title: "Status", width: "5.5rem", show: (row) => <StatusWord status={row.status} /> },
    { key: "verdict", title: "Verdict", width: "11rem", show: (row) => <Said row={row} mark={mark} /> },
    {
      key: "assignee",
      title: "Assignee",
      width: "6.5rem",
      wideOnly: true,
      show: (row) => row.assignee || <span class="soft">nobody</span>,
    },
    {
      key: "last_seen",
      title: "Last seen",
      width: "7rem",
      align: "right",
      sortable: true,
      show: (row) => <Time at={row.last_seen} />,
    },
  ];
}

export function Card({ row, mark }: { row: Incident; mark: Mark }) {
  return (
    <div class={style.card}>
      <Severity level={row.level} />
      <Score {...row} />
      <span class={style.when}>
        <Time at={row.last_seen} />
      </span>
      <div class={style.wide}>
        <Title row={row} />
      </div>
      <div class={`${style.wide} soft`}>
        <StatusWord status={row.status} /> · <Said row={row} mark={mark} />
      </div>
    </div>
  );
}
