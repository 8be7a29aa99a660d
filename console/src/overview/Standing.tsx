/** Says how the platform is. */
import { Link } from "wouter-preact";
import { Panel } from "../parts/Panel";
import { State } from "../parts/State";
import { Shown } from "../parts/States";
import { useHealth } from "./asking";
import style from "./Standing.module.css";

export function Standing() {
  return (
    <Panel title="Platform" tools={<Link href="/health">Health</Link>}>
      <Shown of={useHealth()} what="the health of the platform">
        {({ dependencies }) => (
          <ul class={style.list}>
            {dependencies
              .toSorted((one, other) => Number(one.state === "up") - Number(other.state === "up"))
              .map((each) => (
                <li key={each.name}>
                  <span class={style.name}>{each.name}</span>
                  <State standing={each.state === "up" ? "good" : "bad"}>{each.state}</State>
                  {each.reason && <span class={style.reason}>{each.reason}</span>}
                </li>
              ))}
          </ul>
        )}
      </Shown>
    </Panel>
  );
}
