/** Names the techniques of ATT&CK that were seen. */
import { Link } from "wouter-preact";
import { Panel } from "../parts/Panel";
import type { Story } from "./asking";
import style from "./Techniques.module.css";

export function Techniques({ story }: { story: Story }) {
  if (story.techniques.length === 0) return null;
  return (
    <Panel title="Techniques">
      <ul class={style.techniques}>
        {story.techniques.map(({ id, name, tactic }) => (
          <li key={`${id} ${tactic}`}>
            <Link href={`/attack?technique=${id}`}>{id}</Link>
            <span>
              {name} <span class="soft">· {tactic.replaceAll("-", " ")}</span>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
