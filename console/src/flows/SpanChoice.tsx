/** Chooses how far back flows are looked at. */
import { SPANS } from "./filters";
import style from "./SpanChoice.module.css";

export function SpanChoice({ span, choose }: { span: string; choose: (key: string) => void }) {
  return (
    <select class={style.choice} aria-label="Time" value={span} onChange={(event) => choose(event.currentTarget.value)}>
      <option value="">Any time</option>
      {SPANS.map(({ key, title }) => (
        <option key={key} value={key}>
          {title}
        </option>
      ))}
    </select>
  );
}
