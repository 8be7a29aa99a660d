/** Shows a text in two lines at the most; whole to who points at it. */
import { legible } from "./legible";
import style from "./TwoLines.module.css";

export function TwoLines({ text }: { text: string }) {
  return (
    <span class={style.lines} title={legible(text)}>
      {legible(text)}
    </span>
  );
}
