/** Says how something stands, by a word and a mark. */
import style from "./State.module.css";

export type Standing = "good" | "bad" | "waiting" | "off";
const MARKS: Record<Standing, string> = { good: "●", bad: "▲", waiting: "◐", off: "○" };

export function State({ standing, children }: { standing: Standing; children: string }) {
  return (
    <span class={`${style.state} ${style[standing]}`}>
      <span aria-hidden="true">{MARKS[standing]}</span> {children}
    </span>
  );
}
