/** Compares amounts by bars, each with its number. */
import type { ComponentChildren } from "preact";
import style from "./Bars.module.css";

export type Bar = { name: string; value: number; words: string; label?: ComponentChildren };

type Props = {
  title: string;
  bars: Bar[] /** What a full bar stands for, if not the largest value. */;
  whole?: number;
};

export function Bars({ title, bars, whole }: Props) {
  const most = whole ?? Math.max(...bars.map((bar) => Math.abs(bar.value)), Number.MIN_VALUE);
  return (
    <figure>
      <figcaption class="soft">{title}</figcaption>
      <ul class={style.bars}>
        {bars.map((bar) => (
          <li key={bar.name}>
            <span class={style.name} title={bar.name}>
              {bar.label ?? bar.name}
            </span>
            <span class={style.track} aria-hidden="true">
              <span
                class={`${style.bar} ${bar.value < 0 ? style.less : ""}`}
                style={{ width: `${(100 * Math.abs(bar.value)) / most}%` }}
              />
            </span>
            <span class={style.words}>{bar.words}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
