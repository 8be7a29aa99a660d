/** Manages the keys of programs. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api, listed } from "../api/client";
import type { ApiKey, MadeKey, NewKey } from "../api/schema";
import { Button } from "../parts/Button";
import { Confirm } from "../parts/Confirm";
import { Dialog } from "../parts/Dialog";
import { Field, Form, Select } from "../parts/Field";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { MOST, OF_PROGRAMS, type Role } from "./roles";
import { Secret } from "./Secret";

export function Keys() {
  const [isAdding, setAdding] = useState(false);
  const [made, setMade] = useState<MadeKey | null>(null);
  const [revoked, setRevoked] = useState<ApiKey | null>(null);
  const keys = useQuery({
    queryKey: ["keys"],
    queryFn: () => listed<ApiKey>(api.GET("/api/v1/keys", { params: { query: { limit: MOST, order: "subject" } } })),
  });
  const revoke = useAction(
    (key: string) => answered(api.DELETE("/api/v1/keys/{key_id}", { params: { path: { key_id: key } } })),
    { done: "Revoked the key", changes: ["keys"] },
  );
  const columns: Column<ApiKey>[] = [
    { title: "For", show: (key) => <strong>{key.subject}</strong> },
    { title: "Role", show: (key) => key.role },
    { title: "Key", show: (key) => <code>{key.key_id}</code> },
    { title: "Made", show: (key) => <Time at={key.created_at} /> },
    { title: "Good until", show: (key) => (key.expires_at ? <Time at={key.expires_at} /> : "for ever") },
    {
      title: "Actions",
      align: "right",
      show: (key) => (
        <Button kind="danger" onClick={() => setRevoked(key)}>
          Revoke
        </Button>
      ),
    },
  ];
  return (
    <Panel
      title="Keys of programs"
      tools={
        <Button kind="main" onClick={() => setAdding(true)}>
          Make a key
        </Button>
      }
    >
      <Shown of={keys} what="keys">
        {(rows) => (
          <Rows
            caption="Keys of programs"
            rows={rows}
            columns={columns}
            keyOf={(key) => key.key_id}
            empty="No program has a key yet"
          />
        )}
      </Shown>
      {isAdding && (
        <AddKey
          close={() => setAdding(false)}
          made={(key) => {
            setAdding(false);
            setMade(key);
          }}
        />
      )}
      {made && <Secret title={`The key of ${made.subject}`} secret={made.key} close={() => setMade(null)} />}
      {revoked && (
        <Confirm
          title={`Revoke the key of ${revoked.subject}?`}
          action="Revoke"
          run={() => void revoke.run(revoked.key_id)}
          close={() => setRevoked(null)}
        >
          Whatever uses this key is refused at once.
        </Confirm>
      )}
    </Panel>
  );
}

function AddKey({ close, made }: { close: () => void; made: (key: MadeKey) => void }) {
  const add = useAction((body: NewKey) => answered(api.POST("/api/v1/keys", { body })), {
    changes: ["keys"],
    after: made,
  });
  const send = (given: FormData) => {
    const { subject, role, days } = Object.fromEntries(given) as Record<string, string>;
    void add.run({ subject: subject ?? "", role: role as Role, days: Number(days) });
  };
  return (
    <Dialog title="Make a key" close={close}>
      <Form send={send}>
        <Field name="subject" label="What it is for" required maxLength={64} problem={add.problems.subject} />
        <Select name="role" label="Role" options={OF_PROGRAMS} problem={add.problems.role} />
        <Field
          name="days"
          label="Good for days"
          type="number"
          min={0}
          value={365}
          hint="0 is for ever"
          problem={add.problems.days}
        />
        <Button kind="main" type="submit" disabled={add.isBusy}>
          Make it
        </Button>
      </Form>
    </Dialog>
  );
}
