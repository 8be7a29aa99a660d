/** Shows a text in two lines at the most; whole to who points at it. */
import style from "./TwoLines.module.css";

export function TwoLines({ text }: { text: string }) {
  return (
    <span class={style.lines} title={text}>
      {text}
    </span>
  );
}
