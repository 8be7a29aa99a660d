/** Shows an incident as a row, or as a card on narrow screens. */
import { Link } from "wouter-preact";
import type { Column } from "../parts/DataTable";
import { Score } from "../parts/Score";
import { Severity } from "../parts/Severity";
import { Time } from "../parts/Time";
import { TwoLines } from "../parts/TwoLines";
import type { Incident, Verdict } from "./asking";
import style from "./columns.module.css";
import { wordsOf } from "./verdicts";
import { First, StatusWord, VerdictWord } from "./words";

/** A verdict that was chosen by key and not given yet. */
export type Mark = { id: string; verdict: Verdict } | null;

function Title({ row }: { row: Incident }) {
  return (
    <Link href={`/incidents/${row.incident_id}`} class={style.title} tabIndex={-1}>
      <TwoLines text={row.title} />
    </Link>
  );
}

function Said({ row, mark }: { row: Incident; mark: Mark }) {
  if (mark?.id !== row.incident_id) return row.verdict ? <VerdictWord verdict={row.verdict} /> : null;
  return (
    <span class={style.mark}>
      {wordsOf(mark.verdict)} <kbd title="Enter gives the verdict">↵</kbd>
    </span>
  );
}

export function columnsOf(mark: Mark): Column<Incident>[] {
  return [
    { key: "level", title: "Severity", width: "9.5rem", show: (row) => <Severity level={row.level} /> },
    { key: "value", title: "Score", width: "8.75rem", sortable: true, show: (row) => <Score {...row} /> },
    { key: "title", title: "Incident", show: (row) => <Title row={row} /> },
    {
      key: "entities",
      title: "Hosts, techniques",
      width: "12.5rem",
      wideOnly: true,
      show: (row) => (
        <>
          <First of={row.entities} />
          <div class={`${style.second} soft`}>
            <First of={row.techniques} />
          </div>
        </>
      ),
    },
    { key: "verdict", title: "Status, verdict", width: "9.25rem", show: (row) => <Worked row={row} mark={mark} /> },
    {
      key: "assignee",
      title: "Assignee",
      width: "5.75rem",
      wideOnly: true,
      show: (row) => row.assignee || <span class="soft">nobody</span>,
    },
    {
      key: "last_seen",
      title: "Last seen",
      width: "6.25rem",
      align: "right",
      sortable: true,
      show: (row) => <Time at={row.last_seen} />,
    },
  ];
}

function Worked({ row, mark }: { row: Incident; mark: Mark }) {
  return (
    <>
      <StatusWord status={row.status} />
      <div class={style.second}>
        <Said row={row} mark={mark} />
      </div>
    </>
  );
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
        <StatusWord status={row.status} /> <Said row={row} mark={mark} />
      </div>
    </div>
  );
}
