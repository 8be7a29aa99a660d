/** Says what the score is made of, and what would change it. */
import { Panel } from "../parts/Panel";
import type { Story } from "./asking";
import style from "./Certainty.module.css";

export function Certainty({ story }: { story: Story }) {
  const { attributions, changes = [] } = story.explanation;
  const most = Math.max(1, ...attributions.map((each) => Math.abs(each.points)));
  const isBoth = attributions.some((each) => each.points < 0);
  return (
    <Panel title="Why this score" note="points of 100">
      <ul class={`${style.parts} ${isBoth ? style.both : ""}`}>
        {attributions.map(({ name, points }) => (
          <li key={name}>
            <span>{name}</span>
            <span class={style.track} aria-hidden="true">
              <span
                class={points < 0 ? style.less : style.more}
                style={{ width: `${(Math.abs(points) / most) * (isBoth ? 50 : 100)}%` }}
              />
            </span>
            <span class={style.points}>{signed(points)}</span>
          </li>
        ))}
      </ul>
      {changes.length > 0 && (
        <>
          <h3 class={style.title}>What would change it</h3>
          <ul class={style.changes}>
            {changes.map((each) => (
              <li key={each.text}>{each.text}</li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}

function signed(points: number): string {
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`;
}
