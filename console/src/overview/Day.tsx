/** Sums up the last day beside the day before. */
import { Link } from "wouter-preact";
import { bytes, count } from "../parts/amounts";
import { Panel } from "../parts/Panel";
import { LEVELS, Severity } from "../parts/Severity";
import { Shown } from "../parts/States";
import { type Figures, useFigures } from "./asking";
import style from "./Day.module.css";
import { moved, since, waited } from "./telling";

export function Day() {
  const asked = useFigures(24);
  const both = useFigures(48).data;
  return (
    <Panel title="Last 24 hours" note="incidents by severity, beside the day before">
      <Shown of={asked} what="the figures of the day">
        {(day) => (
          <dl class={style.figures}>
            {LEVELS.map((level) => (
              <Figure
                key={level}
                name={
                  <Link href={addressOf(level, day)} class={style.level} aria-label={`Incidents of severity ${level}`}>
                    <Severity level={level} />
                  </Link>
                }
                value={count(day.levels[level] ?? 0)}
                note={both ? since(day.levels[level] ?? 0, (both.levels[level] ?? 0) - (day.levels[level] ?? 0)) : ""}
              />
            ))}
            <Figure
              name="Time to verdict"
              value={waited(day.verdicts.mean_s)}
              note={day.verdicts.count ? `mean of ${count(day.verdicts.count)}` : "no verdict yet"}
            />
            <Figure name="Flows" value={count(day.flows)} note={`${day.flows_per_s.toFixed(1)} a second`} />
            <Figure
              name="Traffic"
              value={bytes(day.bytes)}
              note={both ? moved(day.bytes, both.bytes - day.bytes) : ""}
            />
          </dl>
        )}
      </Shown>
    </Panel>
  );
}

const addressOf = (level: string, day: Figures) =>
  `/incidents?filter=${encodeURIComponent(`level=${level}`)}&filter=${encodeURIComponent(`raised_at>=${day.start}`)}&order=-value`;

type FigureProps = { name: preact.ComponentChildren; value: string; note: string };

function Figure({ name, value, note }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span class={style.value}>{value}</span>
        <span class={style.note}>{note}</span>
      </dd>
    </div>
  );
}
