/** Says what people decided about an incident. */

import { wordsOf } from "./verdicts";
import style from "./words.module.css";

export function VerdictWord({ verdict }: { verdict: string }) {
  if (!verdict) return <span class="soft">none</span>;
  return <span class={`${style.verdict} ${style[verdict]}`}>{wordsOf(verdict)}</span>;
}

const MARKS: Record<string, string> = { new: "○", open: "◐", closed: "●" };

export function StatusWord({ status }: { status: string }) {
  return (
    <span class={style.status}>
      <span aria-hidden="true">{MARKS[status] ?? ""}</span> {status}
    </span>
  );
}

/** Shows the first of some texts, and how many more there are; all of them to who asks. */
export function First({ of }: { of: string[] }) {
  const [first, ...more] = of;
  return (
    <span title={of.slice(0, 50).join("\n")} class={style.first}>
      <span class={style.text}>{first ?? ""}</span>
      {more.length > 0 && <span class={style.more}>+{more.length}</span>}
    </span>
  );
}
