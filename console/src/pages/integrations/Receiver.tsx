/** Shows one receiver: how it stands, what failed, and what can be done about it. */

import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../../api/acting";
import type { Attempted, Deliveries, Standing, Trial } from "../../api/schema";
import { Button } from "../../parts/Button";
import { Confirm } from "../../parts/Confirm";
import { Dialog } from "../../parts/Dialog";
import { type Column, Rows } from "../../parts/Rows";
import { State } from "../../parts/State";
import { Shown } from "../../parts/States";
import { Time } from "../../parts/Time";
import style from "./Receiver.module.css";
import { StandingFigures } from "./Standing";

/** What can be asked of a receiver, whichever kind it is. */
export type Reach = {
  key: string;
  deliveries: () => Promise<Deliveries>;
  test: () => Promise<Trial>;
  enable: (isEnabled: boolean) => Promise<unknown>;
  replay: () => Promise<Standing>;
  remove: () => Promise<unknown>;
};

type Props = { name: string; standing: Standing; reach: Reach; list: string; close: () => void };

export function Receiver({ name, standing, reach, list, close }: Props) {
  const [isRemoving, setRemoving] = useState(false);
  const changes = [list, `${list} deliveries`];
  const deliveries = useQuery({ queryKey: [`${list} deliveries`, reach.key], queryFn: reach.deliveries });
  const test = useAction(reach.test, {
    done: (trial) => (trial.delivered ? "The receiver took it" : `Not taken: ${trial.problem}`),
  });
  const enable = useAction(reach.enable, { done: "Changed", changes });
  const replay = useAction(reach.replay, { done: "Dead letters are sent again", changes });
  const remove = useAction(reach.remove, { done: `Removed ${name}`, changes: [list], after: close });
  const isDisabled = standing.state === "disabled";
  return (
    <Dialog title={name} close={close} isWide>
      <div class={style.parts}>
        <StandingFigures standing={standing} />
        <div class={style.tools}>
          <Button kind="main" disabled={test.isBusy} onClick={() => void test.run(undefined)}>
            Send a test
          </Button>
          <Button onClick={() => void enable.run(isDisabled)}>{isDisabled ? "Enable" : "Disable"}</Button>
          <Button disabled={standing.dead === 0} onClick={() => void replay.run(undefined)}>
            Send dead letters again
          </Button>
          <Button kind="danger" onClick={() => setRemoving(true)}>
            Remove
          </Button>
        </div>
        <Shown of={deliveries} what="deliveries">
          {(found) => (
            <Rows
              caption="What could not be delivered yet"
              rows={found.items}
              columns={ATTEMPTS}
              keyOf={(each) => each.event_id}
              empty="Everything was delivered"
            />
          )}
        </Shown>
        <div>
          <Button onClick={close}>Close</Button>
        </div>
      </div>
      {isRemoving && (
        <Confirm
          title={`Remove ${name}?`}
          action="Remove"
          run={() => void remove.run(undefined)}
          close={() => setRemoving(false)}
        >
          It is told nothing more, and what waits for it is dropped.
        </Confirm>
      )}
    </Dialog>
  );
}

const ATTEMPTS: Column<Attempted>[] = [
  { title: "Event", show: (each) => <code>{each.event_id}</code> },
  {
    title: "State",
    show: (each) => (
      <State standing={each.state === "dead" ? "bad" : "waiting"}>
        {each.state === "dead" ? "given up" : "retrying"}
      </State>
    ),
  },
  { title: "Tries", align: "right", show: (each) => each.attempts },
  { title: "Last", show: (each) => <Time at={each.at} /> },
  { title: "Problem", show: (each) => each.problem },
];
