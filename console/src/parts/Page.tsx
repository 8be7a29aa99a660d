/** Begins a page: its heading, a sentence of what it is for, and what can be done. */
import type { ComponentChildren } from "preact";
import style from "./Page.module.css";

type Props = {
  title: ComponentChildren;
  note?: ComponentChildren;
  tools?: ComponentChildren;
  children: ComponentChildren;
};

export function Page({ title, note, tools, children }: Props) {
  return (
    <div class={style.page}>
      <header class={style.head}>
        <div>
          <h1>{title}</h1>
          {note && <p class="soft">{note}</p>}
        </div>
        {tools && <div class={style.tools}>{tools}</div>}
      </header>
      {children}
    </div>
  );
}
