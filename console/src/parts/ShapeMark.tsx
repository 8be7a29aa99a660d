/** Shows the shape and the colour that a kind of node has in graphs. */
import { lookOf, type Shape } from "./network";
import style from "./ShapeMark.module.css";

const PATHS: Record<Shape, string> = {
  circle: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12z",
  square: "M3 3h10v10H3z",
  diamond: "M8 1l7 7l-7 7l-7-7z",
  triangle: "M8 1.5L14.5 13.5H1.5z",
  hexagon: "M8 1l6 3.5v7L8 15l-6-3.5v-7z",
  pentagon: "M8 1l7 5.1l-2.7 8.2H3.7L1 6.1z",
  star: "M8 .8l1.9 4.8l5.1.3l-4 3.3l1.3 5L8 11.4l-4.3 2.8l1.3-5l-4-3.3l5.1-.3z",
  cross: "M5.8 1h4.4v4.8H15v4.4h-4.8V15H5.8v-4.8H1V5.8h4.8z",
};

export function ShapeMark({ kind }: { kind: string }) {
  const { shape, colour } = lookOf(kind);
  return (
    <svg class={style.mark} viewBox="0 0 16 16" aria-hidden="true" style={{ color: `var(${colour})` }}>
      <path d={PATHS[shape]} />
    </svg>
  );
}
