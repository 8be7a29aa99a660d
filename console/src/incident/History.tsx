/** Lists what people said of the incident, the last word first. */
import { VerdictWord } from "../incidents/words";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { useVerdicts } from "./asking";
import style from "./History.module.css";

export function History({ id }: { id: string }) {
  return (
    <Panel title="Verdicts given">
      <Shown of={useVerdicts(id)} what="verdicts">
        {(given) =>
          given.length === 0 ? (
            <p class="soft">Nobody has said anything yet.</p>
          ) : (
            <ol class={style.list}>
              {given.map((each) => (
                <li key={each.verdict_id}>
                  <VerdictWord verdict={each.verdict} /> by {each.by}, <Time at={each.at} />
                  {each.comment && <p class={style.comment}>{each.comment}</p>}
                </li>
              ))}
            </ol>
          )
        }
      </Shown>
    </Panel>
  );
}
