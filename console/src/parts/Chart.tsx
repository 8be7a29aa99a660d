/** Shows how numbers change over time: as lines, bars or stacked areas, by keyboard and as a table, too. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useColours } from "../style/colours";
import { count } from "./amounts";
import style from "./Chart.module.css";
import type { Drawing } from "./drawing";
import { type Band, moment, type Series, sentence, tokenOf } from "./series";

export type Props = {
  title: string;
  /** Is what is counted and over which time, such as "flows per hour". */
  unit: string;
  /** Are seconds since 1970, in order and evenly spaced. */
  times: number[];
  series: Series[];
  kind?: "lines" | "bars" | "areas";
  band?: Band;
  write?: (value: number) => string;
  height?: number;
};

export function Chart({ title, unit, times, series, kind = "lines", band, write = count, height = 200 }: Props) {
  const [at, setAt] = useState<number | null>(null);
  const id = useId();
  const place = at === null || at >= times.length ? times.length - 1 : at;
  return (
    <figure class={style.chart} aria-labelledby={id}>
      <figcaption id={id} class={style.title}>
        <strong>{title}</strong> <span class="soft">{unit}, times in UTC</span>
      </figcaption>
      <Legend {...{ times, series, band, write, place }} />
      <Plot {...{ title, times, series, kind, band, write, height, place, setAt }} />
      <p class="unseen">{sentence(series, write)}</p>
      <Table {...{ title, unit, times, series, band, write }} />
    </figure>
  );
}

type Values = Required<Pick<Props, "times" | "series" | "write">> & { band?: Band | undefined };

function Legend({ times, series, band, write, place }: Values & { place: number }) {
  return (
    <dl class={style.legend}>
      {series.map((each, number) => (
        <div key={each.name}>
          <dt>
            <span class={style.swatch} style={{ background: `var(${tokenOf(each, number)})` }} /> {each.name}
          </dt>
          <dd>{told(each.values[place], write)}</dd>
        </div>
      ))}
      {band && (
        <div>
          <dt>
            <span class={`${style.swatch} ${style.band}`} /> {band.name}
          </dt>
          <dd>{spanOf(band, place, write)}</dd>
        </div>
      )}
      <div class={style.when}>
        <dt class="unseen">Time</dt>
        <dd>{times.length > 0 && moment(times[place] ?? 0)}</dd>
      </div>
    </dl>
  );
}

function told(value: number | null | undefined, write: (value: number) => string): string {
  return value === null || value === undefined ? "–" : write(value);
}

function spanOf(band: Band, place: number, write: (value: number) => string): string {
  return `${told(band.low[place], write)} to ${told(band.high[place], write)}`;
}

type Drawn = Values & {
  title: string;
  kind: NonNullable<Props["kind"]>;
  height: number;
  place: number;
  setAt: (at: number | null) => void;
};

function Plot({ title, times, series, kind, band, write, height, place, setAt }: Drawn) {
  const frame = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const colours = useColours();
  const shape = JSON.stringify([colours, kind, height, series.map((each) => [each.name, each.colour]), !!band]);
  useEffect(() => {
    let isOver = false;
    void import("./drawing").then(({ draw }) => {
      if (isOver || !frame.current) return;
      drawing.current = draw(frame.current, { times, series, kind, band, write, height }, setAt);
    });
    return () => {
      isOver = true;
      drawing.current?.end();
      drawing.current = null;
    };
  }, [shape]);
  useEffect(() => drawing.current?.show({ times, series, kind, band, write, height }), [times, series, band]);
  const move = (to: number) => {
    const next = Math.min(Math.max(to, 0), times.length - 1);
    setAt(next);
    drawing.current?.point(next);
  };
  return (
    <div
      ref={frame}
      class={style.plot}
      style={{ height: `${height}px` }}
      role="slider"
      tabIndex={0}
      aria-label={`${title}: choose a time by the arrow keys`}
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={Math.max(times.length - 1, 0)}
      aria-valuenow={Math.max(place, 0)}
      aria-valuetext={said(times, series, place, write)}
      onKeyDown={(event) => {
        const to = goal(event.key, place, times.length);
        if (to === null) return;
        event.preventDefault();
        event.stopPropagation();
        move(to);
      }}
    />
  );
}

function said(times: number[], series: Series[], place: number, write: (value: number) => string): string {
  const at = times[place];
  if (at === undefined) return "nothing known";
  return `${moment(at)}: ${series.map((each) => `${each.name} ${told(each.values[place], write)}`).join(", ")}`;
}

function goal(key: string, place: number, length: number): number | null {
  const goals: Record<string, number> = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: length - 1 };
  return goals[key] ?? null;
}

function Table({ title, unit, times, series, band, write }: Values & { title: string; unit: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class={style.table} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {isOpen && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <section class={style.scroll} tabIndex={0} aria-label={`${title} as a table`}>
          <table>
            <caption class="unseen">
              {title}, {unit}
            </caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {series.map((each) => (
                  <th key={each.name} scope="col">
                    {each.name}
                  </th>
                ))}
                {band && <th scope="col">{band.name}</th>}
              </tr>
            </thead>
            <tbody>
              {times.map((at, place) => (
                <tr key={at}>
                  <th scope="row">{moment(at)}</th>
                  {series.map((each) => (
                    <td key={each.name}>{told(each.values[place], write)}</td>
                  ))}
                  {band && <td>{spanOf(band, place, write)}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}
