/** Lists what people said of the incident, the last word first. */
import { useAction } from "../api/acting";
import { may } from "../api/session";
import { LIST } from "../incidents/asking";
import { withdraw } from "../incidents/verdicts";
import { VerdictWord } from "../incidents/words";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { KEY, useVerdicts } from "./asking";
import style from "./History.module.css";

export function History({ id }: { id: string }) {
  const takeBack = useAction((verdict: string) => withdraw(id, verdict), {
    done: "The verdict was taken back",
    changes: [KEY, LIST],
  });
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
                  <VerdictWord verdict={each.verdict} /> by {each.by}, <Time at={each.at} />{" "}
                  {may("analyst") && (
                    <Button
                      kind="quiet"
                      title="Take the verdict back, as if it had never been given"
                      disabled={takeBack.isBusy}
                      onClick={() => void takeBack.run(each.verdict_id)}
                    >
                      Take back
                    </Button>
                  )}
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
