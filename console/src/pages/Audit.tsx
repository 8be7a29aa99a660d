/** Lists what was changed and what was refused in the tenant, the latest first. */
import { useInfiniteQuery } from "@tanstack/preact-query";
import { useSearch } from "wouter-preact";
import { navigate } from "wouter-preact/use-browser-location";
import { answered, api } from "../api/client";
import type { AuditEvent } from "../api/schema";
import { Button } from "../parts/Button";
import { Field, Form } from "../parts/Field";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { State } from "../parts/State";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import style from "./Audit.module.css";

const LIMIT = 100;

export default function Audit() {
  const asked = new URLSearchParams(useSearch());
  const subject = asked.get("subject") || undefined;
  const operation = asked.get("operation") || undefined;
  const audit = useInfiniteQuery({
    queryKey: ["audit", subject, operation],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      answered(api.GET("/api/v1/audit", { params: { query: { limit: LIMIT, after: pageParam, subject, operation } } })),
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const find = (given: FormData) => {
    const kept = [...given].filter(([, value]) => value) as [string, string][];
    navigate(`?${new URLSearchParams(kept)}`);
  };
  return (
    <Page
      title="Audit"
      note={
        <>
          Every change and every refusal, from the signed log. <code>infraspectre log verify</code> on the server proves
          that nothing in it was changed or left out.
        </>
      }
    >
      <Panel title="Events">
        <div class={style.find}>
          <Form send={find}>
            <Field name="subject" label="Who" defaultValue={subject} maxLength={64} />
            <Field name="operation" label="Operation" defaultValue={operation} maxLength={64} hint="Such as add_user" />
            <Button type="submit">Find</Button>
          </Form>
        </div>
        <Shown of={audit} what="the audit">
          {(found) => (
            <Rows
              caption="Events of the audit"
              rows={found.pages.flatMap((page) => page.items)}
              columns={COLUMNS}
              keyOf={(each) => `${each.request_id} ${each.at} ${each.operation}`}
              empty="Nothing was changed or refused that is as asked"
            />
          )}
        </Shown>
        {audit.hasNextPage && (
          <Button disabled={audit.isFetchingNextPage} onClick={() => void audit.fetchNextPage()}>
            Show older ones
          </Button>
        )}
      </Panel>
    </Page>
  );
}

function Who({ event }: { event: AuditEvent }) {
  if (!event.subject) return <span class="soft">somebody unknown</span>;
  return (
    <span title={event.role}>
      {event.subject} {event.role && <span class="soft">· {event.role}</span>}
    </span>
  );
}

const REFUSED = 400;
const COLUMNS: Column<AuditEvent>[] = [
  { title: "When", show: (each) => <Time at={each.at} isExact /> },
  { title: "Who", show: (each) => <Who event={each} /> },
  { title: "Operation", show: (each) => <code>{each.operation}</code> },
  { title: "Of what", show: (each) => <code>{each.target}</code> },
  {
    title: "Outcome",
    show: (each) => (
      <State standing={each.outcome < REFUSED ? "good" : "bad"}>
        {each.outcome < REFUSED ? `done (${each.outcome})` : `refused (${each.outcome})`}
      </State>
    ),
  },
  { title: "From", show: (each) => each.address },
  { title: "Request", show: (each) => <code title={each.request_id}>{each.request_id.slice(0, 8)}</code> },
];
