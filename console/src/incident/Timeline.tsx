/** Shows the detections of an incident over time: as lanes by what was found, and as a table. */
import { Link } from "wouter-preact";
import { type Column, DataTable, wholeList } from "../parts/DataTable";
import { Panel } from "../parts/Panel";
import { levelColour, Severity } from "../parts/Severity";
import { Shown } from "../parts/States";
import { exact } from "../parts/Time";
import { TwoLines } from "../parts/TwoLines";
import { type TimelineEntry, useTimeline } from "./asking";
import style from "./Timeline.module.css";
import { placeOf, ticks, tickWords } from "./timescale";

export function Timeline({ id }: { id: string }) {
  const asked = useTimeline(id);
  const left = asked.data ? asked.data.detections - asked.data.items.length : 0;
  return (
    <Panel
      title="When"
      note={left > 0 ? `detections in UTC; the ${left} least telling are not kept` : "detections in UTC"}
    >
      <Shown of={asked} what="the timeline">
        {({ items }) => (
          <>
            <Lanes entries={begun(items)} />
            <DataTable
              label="Detections in order of time"
              columns={COLUMNS}
              list={wholeList(begun(items))}
              id={(entry) => entry.detection_id}
              height="400px"
              rowHeight={50}
              empty={<p class="soft">No detection is kept with this incident.</p>}
            />
          </>
        )}
      </Shown>
    </Panel>
  );
}

const begun = (entries: TimelineEntry[]) =>
  entries.toSorted((one, other) => (one.first_seen < other.first_seen ? -1 : 1));

const MOST_LANES = 12;

function Lanes({ entries }: { entries: TimelineEntry[] }) {
  const from = entries[0]?.first_seen;
  const to = entries
    .map((each) => each.last_seen)
    .sort()
    .at(-1);
  if (!from || !to) return null;
  const names = [...new Set(entries.map((each) => each.category))];
  const words = `${entries.length} detections of ${names.length} kinds between ${exact(from)} and ${exact(to)}; the table below lists them`;
  return (
    <div class={style.lanes} role="img" aria-label={words}>
      {names.slice(0, MOST_LANES).map((name) => (
        <div key={name} class={style.lane}>
          <span class={style.name}>{name.replaceAll("_", " ")}</span>
          <span class={style.track}>
            {entries
              .filter((each) => each.category === name)
              .map((each) => (
                <Mark key={each.detection_id} entry={each} from={from} to={to} />
              ))}
          </span>
        </div>
      ))}
      <div class={style.lane}>
        <span />
        <span class={style.ticks}>
          {ticks(from, to).map((at) => (
            <span key={at} style={{ left: `${placeOf(at, from, to)}%` }}>
              {tickWords(at, from, to)}
            </span>
          ))}
        </span>
      </div>
    </div>
  );
}

function Mark({ entry, from, to }: { entry: TimelineEntry; from: string; to: string }) {
  const left = placeOf(entry.first_seen, from, to);
  const right = placeOf(entry.last_seen, from, to);
  return (
    <span
      class={`${style.mark} ${levelColour(entry.severity)}`}
      style={{ left: `min(${left}%, 100% - 8px)`, width: `max(8px, ${right - left}%)` }}
      title={`${exact(entry.first_seen)}: ${entry.summary}`}
    />
  );
}

const COLUMNS: Column<TimelineEntry>[] = [
  { key: "first_seen", title: "Began", width: "8.5rem", show: (each) => <Began at={each.first_seen} /> },
  {
    key: "severity",
    title: "Severity",
    width: "8.25rem",
    wideOnly: true,
    show: (each) => <Severity level={each.severity} />,
  },
  { key: "summary", title: "What was seen", show: (each) => <TwoLines text={each.summary} /> },
  { key: "flows", title: "Flows", width: "5rem", align: "right", show: (each) => <Flows entry={each} /> },
];

function Began({ at }: { at: string }) {
  return (
    <time dateTime={at} title={exact(at)}>
      {at.slice(5, 10)} {at.slice(11, 19)}
    </time>
  );
}

function Flows({ entry }: { entry: TimelineEntry }) {
  if (entry.flow_ids.length === 0) return <>{entry.flows}</>;
  const filter = encodeURIComponent(`flow_id=${entry.flow_ids.join("|")}`);
  return (
    <Link href={`/flows?filter=${filter}`} aria-label={`${entry.flows} flows`}>
      {entry.flows}
    </Link>
  );
}
