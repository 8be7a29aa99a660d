/** Lists webhooks by Standard Webhooks, and adds some. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../../api/acting";
import { answered, api, listed } from "../../api/client";
import type { MadeWebhook, NewWebhook, Webhook } from "../../api/schema";
import { count } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { CopyText } from "../../parts/CopyText";
import { Dialog } from "../../parts/Dialog";
import { Area, Field, Form } from "../../parts/Field";
import { linesOf } from "../../parts/lines";
import { Panel } from "../../parts/Panel";
import { type Column, Rows } from "../../parts/Rows";
import { Shown } from "../../parts/States";
import { FilterLines } from "./FilterLines";
import { type Reach, Receiver } from "./Receiver";
import { StandingState } from "./Standing";

const LIST = "webhooks";
const MOST = 100;

export function Webhooks() {
  const [isAdding, setAdding] = useState(false);
  const [made, setMade] = useState<MadeWebhook | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const webhooks = useQuery({
    queryKey: [LIST],
    queryFn: () => listed<Webhook>(api.GET("/api/v1/webhooks", { params: { query: { limit: MOST, order: "name" } } })),
  });
  const columns: Column<Webhook>[] = [
    {
      title: "Name",
      show: (each) => (
        <Button kind="quiet" onClick={() => setChosen(each.webhook_id)}>
          {each.name || each.webhook_id}
        </Button>
      ),
    },
    { title: "Where to", show: (each) => <code>{each.url}</code> },
    { title: "Told of", show: (each) => each.channels.join(", ") || "everything" },
    { title: "State", show: (each) => <StandingState standing={each.standing} /> },
    { title: "Delivered", align: "right", show: (each) => count(each.standing.delivered) },
    { title: "Waiting", align: "right", show: (each) => count(each.standing.retrying) },
    { title: "Given up", align: "right", show: (each) => count(each.standing.dead) },
  ];
  const open = webhooks.data?.find((each) => each.webhook_id === chosen);
  return (
    <Panel
      title="Webhooks"
      note="Signed by Standard Webhooks 1.0; the same event has the same identity however often it is sent."
      tools={
        <Button kind="main" onClick={() => setAdding(true)}>
          Add a webhook
        </Button>
      }
    >
      <Shown of={webhooks} what="webhooks">
        {(rows) => (
          <Rows
            caption="Webhooks"
            rows={rows}
            columns={columns}
            keyOf={(each) => each.webhook_id}
            empty="There are no webhooks yet"
          />
        )}
      </Shown>
      {isAdding && (
        <AddWebhook
          close={() => setAdding(false)}
          made={(webhook) => {
            setAdding(false);
            setMade(webhook);
          }}
        />
      )}
      {made && <Secrets webhook={made} close={() => setMade(null)} />}
      {open && (
        <Receiver
          name={open.name || open.webhook_id}
          standing={open.standing}
          reach={reachOf(open.webhook_id)}
          list={LIST}
          close={() => setChosen(null)}
        />
      )}
    </Panel>
  );
}

function reachOf(id: string): Reach {
  const params = { path: { webhook_id: id } };
  return {
    key: id,
    deliveries: () => answered(api.GET("/api/v1/webhooks/{webhook_id}/deliveries", { params })),
    test: () => answered(api.POST("/api/v1/webhooks/{webhook_id}/test", { params })),
    enable: (isEnabled) =>
      answered(api.PATCH("/api/v1/webhooks/{webhook_id}", { params, body: { is_enabled: isEnabled } })),
    replay: () => answered(api.POST("/api/v1/webhooks/{webhook_id}/replay", { params, body: { dead_letters: true } })),
    remove: () => answered(api.DELETE("/api/v1/webhooks/{webhook_id}", { params })),
  };
}

function AddWebhook({ close, made }: { close: () => void; made: (webhook: MadeWebhook) => void }) {
  const add = useAction((body: NewWebhook) => answered(api.POST("/api/v1/webhooks", { body })), {
    changes: [LIST],
    after: made,
  });
  const send = (given: FormData) => {
    const text = (name: string) => String(given.get(name) ?? "").trim();
    void add.run({
      name: text("name"),
      url: text("url"),
      kinds: linesOf(text("kinds")),
      filters: linesOf(text("filters")),
    });
  };
  return (
    <Dialog title="Add a webhook" close={close}>
      <Form send={send}>
        <Field name="name" label="What it is for" problem={add.problems.name} />
        <Field
          name="url"
          label="Where to"
          type="url"
          placeholder="https://soar.example.com/hook"
          required
          problem={add.problems.url}
        />
        <Area
          name="kinds"
          label="Kinds of events"
          rows={2}
          hint="One a line, such as incident.raised; all, where none is named"
          problem={add.problems.kinds}
        />
        <FilterLines problem={add.problems.filters} />
        <Button kind="main" type="submit" disabled={add.isBusy}>
          Add
        </Button>
      </Form>
    </Dialog>
  );
}

function Secrets({ webhook, close }: { webhook: MadeWebhook; close: () => void }) {
  return (
    <Dialog title="How its receiver knows us" close={close}>
      <Form send={close}>
        <p>The secret is shown this once. With either, the receiver checks each request by Standard Webhooks.</p>
        <CopyText text={webhook.secret} label="the secret" />
        <CopyText text={webhook.public_key} label="the public key" />
        <Button kind="main" type="submit">
          I have kept it
        </Button>
      </Form>
    </Dialog>
  );
}
