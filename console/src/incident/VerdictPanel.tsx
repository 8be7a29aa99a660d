/** Asks what the incident was: 1, 2 and 3 choose, Enter gives. */
import { useState } from "preact/hooks";
import { may } from "../api/session";
import type { Incident, Verdict } from "../incidents/asking";
import { useJudge, VERDICTS } from "../incidents/verdicts";
import { useKeys } from "../keyboard";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import style from "./VerdictPanel.module.css";

export function VerdictPanel({ incident }: { incident: Incident }) {
  const [chosen, setChosen] = useState<Verdict | null>(null);
  const [comment, setComment] = useState("");
  const judge = useJudge();
  const give = () => {
    if (!chosen) return;
    setChosen(null);
    setComment("");
    void judge(incident, chosen, comment);
  };
  const keyed = VERDICTS.flatMap(({ key, verdict }) => (key ? [[key, () => setChosen(verdict)] as const] : []));
  useKeys({
    ...Object.fromEntries(keyed),
    Enter: (event) => isFree(event.target) && give(),
    Escape: () => setChosen(null),
  });
  if (!may("analyst")) return null;
  return (
    <Panel title="What was it?">
      <div class={style.choices} role="radiogroup" aria-label="Verdict">
        {VERDICTS.map(({ verdict, key, words, means }) => (
          <label key={verdict} class={`${style.choice} ${chosen === verdict ? style.chosen : ""}`}>
            <input type="radio" name="verdict" checked={chosen === verdict} onChange={() => setChosen(verdict)} />
            <span>
              <strong>{words}</strong>
              <span class={style.means}>{means}</span>
            </span>
            {key && <kbd>{key}</kbd>}
          </label>
        ))}
      </div>
      <form
        class={style.give}
        onSubmit={(event) => {
          event.preventDefault();
          give();
        }}
      >
        <input
          aria-label="Comment"
          placeholder="Comment, for those who come after"
          maxLength={4_000}
          value={comment}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
        <Button kind="main" type="submit" disabled={!chosen}>
          Give verdict
        </Button>
      </form>
    </Panel>
  );
}

/** Tell whether Enter means nothing else where the focus is. */
function isFree(target: EventTarget | null): boolean {
  return (target as HTMLElement | null)?.closest("a, button, summary, [data-row]") == null;
}
