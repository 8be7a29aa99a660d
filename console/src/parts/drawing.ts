/** Draws charts on a canvas by uPlot; loaded where a chart is shown. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { colourOf } from "../style/colours";
import { type Band, type Series, stacked, ticks, tokenOf } from "./series";

export type Content = {
  times: number[];
  series: Series[];
  kind: "lines" | "bars" | "areas";
  band?: Band | undefined;
  write: (value: number) => string;
  height: number;
};
export type Drawing = { show: (content: Content) => void; point: (at: number) => void; end: () => void };

/** Draw into a frame, and say which time the pointer is at; what is returned shows other numbers and ends it. */
export function draw(frame: HTMLElement, content: Content, tell: (at: number | null) => void): Drawing {
  const plot = new uPlot(options(frame, content, tell), dataOf(content), frame);
  const fit = new ResizeObserver(() => plot.setSize({ width: frame.clientWidth, height: content.height }));
  fit.observe(frame);
  return {
    show: (next) => plot.setData(dataOf(next)),
    point: (at) => plot.setCursor({ left: plot.valToPos(plot.data[0][at] ?? 0, "x"), top: 0 }),
    end: () => {
      fit.disconnect();
      plot.destroy();
    },
  };
}

/* The highest sum comes first and the others over it, so that each area shows its own part alone. */
function dataOf({ times, series, kind, band }: Content): uPlot.AlignedData {
  const values = kind === "lines" ? series.map((each) => each.values) : stacked(series).reverse();
  return [times, ...(band ? [band.low, band.high] : []), ...values] as uPlot.AlignedData;
}

function options(frame: HTMLElement, content: Content, tell: (at: number | null) => void): uPlot.Options {
  const { band, height, times } = content;
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  return {
    width: frame.clientWidth,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: {
        time: true,
        range: (_, low, high) => (content.kind === "bars" ? [low - step / 2, high + step / 2] : [low, high]),
      },
      y: { range: (_, low, high) => [Math.min(low ?? 0, 0), high > 0 ? high * 1.08 : 1] },
    },
    axes: axes(content),
    series: [{}, ...(band ? [edge(), edge()] : []), ...lines(content)],
    ...(band && {
      bands: [{ series: [2, 1], fill: colourOf("color-mix(in srgb, var(--text-soft) 24%, transparent)") }],
    }),
    tzDate: (at) => uPlot.tzDate(new Date(at * 1_000), "Etc/UTC"),
    hooks: { setCursor: [(plot) => tell(plot.cursor.idx ?? null)] },
  };
}

function axes({ write }: Content): uPlot.Axis[] {
  const looks: uPlot.Axis = {
    stroke: colourOf("var(--text-soft)"),
    grid: { stroke: colourOf("var(--line)"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  return [
    { ...looks, grid: { show: false }, space: 64, size: 28, values: (_, times) => ticks(times) },
    { ...looks, size: 62, space: 36, values: (_, values) => values.map((value) => write(value)) },
  ];
}

const edge = (): uPlot.Series => ({ stroke: "transparent", points: { show: false } });

function lines({ series, kind }: Content): uPlot.Series[] {
  const drawn = series.map((each, place) => (kind === "lines" ? line(each, place) : filled(each, place, kind)));
  return kind === "lines" ? drawn : drawn.reverse();
}

function line(series: Series, place: number): uPlot.Series {
  return { stroke: colourOf(`var(${tokenOf(series, place)})`), width: 1.75, points: { size: 4 }, spanGaps: false };
}

function filled(series: Series, place: number, kind: "bars" | "areas"): uPlot.Series {
  const token = `var(${tokenOf(series, place)})`;
  const isBars = kind === "bars";
  return {
    stroke: colourOf(token),
    width: isBars ? 0 : 1.5,
    fill: colourOf(isBars ? token : `color-mix(in srgb, ${token} 45%, var(--panel))`),
    points: { show: false },
    spanGaps: false,
    ...(isBars && { paths: uPlot.paths.bars?.({ size: [0.75, 64], align: 0 }) as uPlot.Series.PathBuilder }),
  };
}
