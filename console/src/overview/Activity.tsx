/** Draws what was found and what was carried in each hour. */
import { bytes } from "../parts/amounts";
import { Chart } from "../parts/Chart";
import { Panel } from "../parts/Panel";
import { LEVELS } from "../parts/Severity";
import { Shown } from "../parts/States";
import { type Figures, useFigures } from "./asking";

const FROM_THE_LEAST = LEVELS.toReversed();

function timesOf({ activity }: Figures): number[] {
  return activity.map((hour) => Date.parse(hour.start) / 1_000);
}

export function Found() {
  return (
    <Panel title="Detections">
      <Shown of={useFigures(24)} what="the detections of the day">
        {(day) => (
          <Chart
            title="By severity"
            unit="detections per hour"
            kind="bars"
            times={timesOf(day)}
            series={FROM_THE_LEAST.map((level) => ({
              name: level,
              colour: `--${level}`,
              values: day.activity.map((hour) => hour.detections[level] ?? 0),
            }))}
          />
        )}
      </Shown>
    </Panel>
  );
}

export function Carried() {
  return (
    <Panel title="Traffic">
      <Shown of={useFigures(24)} what="the traffic of the day">
        {(day) => (
          <Chart
            title="Of all flows"
            unit="bytes per hour"
            kind="areas"
            times={timesOf(day)}
            series={[{ name: "bytes", values: day.activity.map((hour) => hour.bytes) }]}
            write={bytes}
          />
        )}
      </Shown>
    </Panel>
  );
}
