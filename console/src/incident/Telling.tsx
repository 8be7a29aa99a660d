/** Tells what happened: in a sentence, and step by step. */
import { Link } from "wouter-preact";
import { Panel } from "../parts/Panel";
import { Time } from "../parts/Time";
import type { Story } from "./asking";
import style from "./Telling.module.css";

export function Telling({ id, story }: { id: string; story: Story }) {
  const { summary, steps } = story.explanation;
  const ties = story.joins.filter((each) => each.incident_id && each.incident_id !== id);
  return (
    <Panel title="What happened">
      <p class={style.summary}>{summary}</p>
      <ol class={style.steps}>
        {steps.map((step) => {
          const [, at, text] = /^(\d\d:\d\d:\d\d): ([\s\S]*)$/.exec(step.text) ?? [null, "", step.text];
          return (
            <li key={step.text}>
              <span class={style.at}>{at}</span>
              <span>{text}</span>
            </li>
          );
        })}
      </ol>
      {ties.length > 0 && (
        <ul class={style.ties}>
          {ties.map((tie) => (
            <li key={tie.incident_id}>
              Belongs with <Link href={`/incidents/${tie.incident_id}`}>an incident</Link>: {tie.why} (
              <Time at={tie.at} />)
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
