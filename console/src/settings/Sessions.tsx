/** Lists where one is logged in, and logs out everywhere else. */
import { useQuery } from "@tanstack/preact-query";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { OwnSession } from "../api/schema";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { State } from "../parts/State";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { programOf } from "./agents";

const COLUMNS: Column<OwnSession>[] = [
  { title: "Since", show: (each) => <Time at={each.opened_at} /> },
  { title: "From", show: (each) => each.address || <span class="soft">not known</span> },
  { title: "With", show: (each) => <span title={each.agent}>{programOf(each.agent)}</span> },
  { title: "Last used", show: (each) => <Time at={each.renewed_at} /> },
  { title: "Until", show: (each) => <Time at={each.expires_at} isExact /> },
  { title: "This one", show: (each) => each.is_current && <State standing="good">here</State> },
];

export function Sessions() {
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: () => answered(api.GET("/api/v1/sessions")) });
  const close = useAction(() => answered(api.DELETE("/api/v1/sessions")), {
    done: "You are logged out everywhere else",
    changes: ["sessions"],
  });
  const others = sessions.data?.some((each) => !each.is_current);
  return (
    <Panel
      title="Where you are logged in"
      tools={
        <Button disabled={!others || close.isBusy} onClick={() => void close.run(undefined)}>
          Log out everywhere else
        </Button>
      }
    >
      <Shown of={sessions} what="your sessions">
        {(rows) => (
          <Rows
            caption="Where you are logged in"
            rows={rows}
            columns={COLUMNS}
            keyOf={(each) => each.session_id}
            empty="There are none"
          />
        )}
      </Shown>
    </Panel>
  );
}
