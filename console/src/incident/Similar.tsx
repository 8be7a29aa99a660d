/** Lists incidents that are much the same, with what people said of them. */
import { Link } from "wouter-preact";
import { VerdictWord } from "../incidents/words";
import { percent } from "../parts/amounts";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { useSimilar } from "./asking";
import style from "./Similar.module.css";

export function Similar({ id }: { id: string }) {
  const asked = useSimilar(id);
  return (
    <Panel title="Similar incidents" note={asked.data && `of ${asked.data.compared} compared`}>
      <Shown of={asked} what="similar incidents">
        {({ items }) =>
          items.length === 0 ? (
            <p class="soft">None shares enough with this one.</p>
          ) : (
            <ul class={style.list}>
              {items.map((each) => (
                <li key={each.incident_id}>
                  <span class={style.likeness} title="Share of findings and techniques that both have">
                    {percent(each.similarity)}
                  </span>
                  <Link href={`/incidents/${each.incident_id}`} title={each.title} class={style.title}>
                    {each.title}
                  </Link>
                  <span class={style.said}>
                    <VerdictWord verdict={each.verdict} /> <span class="soft">· </span>
                    <Time at={each.last_seen} />
                    {each.shared_entities.length > 0 && (
                      <span class="soft"> · shares {each.shared_entities.slice(0, 2).join(", ")}</span>
                    )}
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </Panel>
  );
}
