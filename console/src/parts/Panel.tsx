/** Frames a part of a page under a heading. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import style from "./Panel.module.css";

type Props = { title: string; note?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren };

export function Panel({ title, note, tools, children }: Props) {
  const id = useId();
  return (
    <section class={style.panel} aria-labelledby={id}>
      <header class={style.head}>
        <h2 id={id}>{title}</h2>
        {note && <p class="soft">{note}</p>}
        {tools && <div class={style.tools}>{tools}</div>}
      </header>
      {children}
    </section>
  );
}
