/** Shows what a host did hour by hour, beside what is usual at each hour of the day. */
import { useState } from "preact/hooks";
import { bytes, count } from "../parts/amounts";
import { Chart } from "../parts/Chart";
import { Choices } from "../parts/Choices";
import type { HostDetail } from "./asking";
import { type Measure, usual } from "./telling";

const MEASURES: { key: Measure; title: string; unit: string; write: (value: number) => string }[] = [
  { key: "flows", title: "Flows", unit: "flows per hour", write: count },
  { key: "bytes_in", title: "Received", unit: "bytes per hour", write: bytes },
  { key: "bytes_out", title: "Sent", unit: "bytes per hour", write: bytes },
];

export function Activity({ activity }: { activity: HostDetail["activity"] }) {
  const [measure, setMeasure] = useState<Measure>("flows");
  const { key, title, unit, write } =
    MEASURES.find((each) => each.key === measure) ?? (MEASURES[0] as (typeof MEASURES)[0]);
  const band = usual(activity.hours, activity.baseline, key);
  return (
    <>
      <Choices
        label="What is shown"
        values={MEASURES.map((each) => [each.key, each.title] as const)}
        value={key}
        choose={setMeasure}
      />
      <Chart
        title={title}
        unit={unit}
        times={activity.hours.map((each) => Date.parse(each.start) / 1_000)}
        series={[{ name: title.toLowerCase(), values: activity.hours.map((each) => each[key]) }]}
        {...(band && { band })}
        kind={band ? "lines" : "bars"}
        write={write}
      />
      {!band && <p class="soft">What is usual at each hour is shown once a whole day before the last one is known.</p>}
    </>
  );
}
