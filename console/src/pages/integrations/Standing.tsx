/** Shows how deliveries to a receiver stand. */
import type { Standing as Told } from "../../api/schema";
import { count } from "../../parts/amounts";
import { KeyValue } from "../../parts/KeyValue";
import { type Standing as Mark, State } from "../../parts/State";
import { Time } from "../../parts/Time";

const MARKS: Record<Told["state"], Mark> = { active: "good", failing: "bad", disabled: "off" };

export function StandingState({ standing }: { standing: Told }) {
  return <State standing={MARKS[standing.state]}>{standing.state}</State>;
}

export function StandingFigures({ standing }: { standing: Told }) {
  return (
    <KeyValue
      rows={[
        ["State", <StandingState key="state" standing={standing} />],
        ["Delivered", count(standing.delivered)],
        ["Waiting to be sent again", count(standing.retrying)],
        ["Given up (dead letters)", count(standing.dead)],
        ["Lost before they could be sent", count(standing.lost)],
        ["Last delivery", standing.delivered_at ? <Time key="last" at={standing.delivered_at} /> : "none yet"],
        ["Next try", standing.next_try_at ? <Time key="next" at={standing.next_try_at} /> : "not needed"],
        ["Problem", standing.problem || "none"],
      ]}
    />
  );
}
