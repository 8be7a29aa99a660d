/** Lists what something is, name by name. */
import type { ComponentChildren } from "preact";
import style from "./KeyValue.module.css";

export function KeyValue({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class={style.list}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
