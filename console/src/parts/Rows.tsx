/** Shows a short list whole, as a table; on narrow screens it scrolls within its frame. */
import type { ComponentChildren } from "preact";
import style from "./Rows.module.css";
import { Empty } from "./States";

export type Column<T> = { title: string; show: (row: T) => ComponentChildren; align?: "right" };
type Props<T> = { caption: string; rows: T[]; columns: Column<T>[]; keyOf: (row: T) => string; empty: string };

export function Rows<T>({ caption, rows, columns, keyOf, empty }: Props<T>) {
  if (rows.length === 0) return <Empty title={empty} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    // biome-ignore lint/a11y/useSemanticElements: a landmark of its own would have the name of the panel around it
    <div class={style.frame} tabIndex={0} role="group" aria-label={caption}>
      <table class={style.table}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.title} scope="col" class={column.align === "right" ? style.right : undefined}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.title} class={column.align === "right" ? style.right : undefined}>
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
