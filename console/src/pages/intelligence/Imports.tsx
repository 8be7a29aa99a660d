/** Imports files of intelligence, says what was read and refused, and removes imports. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../../api/acting";
import { answered, api } from "../../api/client";
import type { Imported, ImportSummary, RefusedEntry } from "../../api/schema";
import { bytes, count } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { Confirm } from "../../parts/Confirm";
import { Field, Form } from "../../parts/Field";
import { Panel } from "../../parts/Panel";
import { type Column, Rows } from "../../parts/Rows";
import { Shown } from "../../parts/States";
import { Time } from "../../parts/Time";
import style from "./LookUp.module.css";

const CHANGES = ["indicators", "imports", "threat-reports"];
const sum = (amounts: Record<string, number>) => Object.values(amounts).reduce((one, other) => one + other, 0);

export function Imports() {
  const [result, setResult] = useState<Imported | null>(null);
  const [removed, setRemoved] = useState<ImportSummary | null>(null);
  const imports = useQuery({ queryKey: ["imports"], queryFn: () => answered(api.GET("/api/v1/indicators/imports")) });
  const add = useAction(sent, {
    done: (made) => `Read ${count(sum(made.summary.indicators))} indicators; the worker looks for them within a minute`,
    changes: CHANGES,
    after: setResult,
  });
  const remove = useAction(
    (name: string) => answered(api.DELETE("/api/v1/indicators/imports/{name}", { params: { path: { name } } })),
    { done: "Removed the import", changes: CHANGES },
  );
  const columns: Column<ImportSummary>[] = [
    { title: "Name", show: (each) => <strong>{each.name}</strong> },
    { title: "Imported", show: (each) => <Time at={each.at} /> },
    { title: "By", show: (each) => each.by },
    { title: "Size", align: "right", show: (each) => bytes(each.size) },
    { title: "Indicators", align: "right", show: (each) => count(sum(each.indicators)) },
    { title: "Reports", align: "right", show: (each) => count(each.reports) },
    { title: "Not usable", align: "right", show: (each) => count(sum(each.unusable)) },
    { title: "Refused", align: "right", show: (each) => count(each.refused) },
    {
      title: "Actions",
      align: "right",
      show: (each) => (
        <Button kind="danger" onClick={() => setRemoved(each)}>
          Remove
        </Button>
      ),
    },
  ];
  return (
    <div class={style.parts}>
      <Panel
        title="Import a file"
        note="STIX 2.1, MISP, OTX or CSV. One of the same name takes the place of the one before."
      >
        <Form send={(given) => void add.run(given)}>
          <Field
            name="file"
            label="File"
            type="file"
            accept=".json,.csv,.txt,.stix"
            required
            problem={add.problems.content}
          />
          <Field
            name="name"
            label="Name"
            hint="Small letters, digits and dashes"
            pattern="[a-z0-9][a-z0-9._\-]*"
            required
            problem={add.problems.name}
          />
          <Button kind="main" type="submit" disabled={add.isBusy}>
            Import
          </Button>
        </Form>
        {result && (
          <Rows
            caption="What was refused"
            rows={result.refused}
            columns={REFUSED}
            keyOf={(each) => `${each.line} ${each.entry} ${each.reason}`}
            empty={`Of ${result.summary.name}, nothing was refused`}
          />
        )}
      </Panel>
      <Panel title="Imports">
        <Shown of={imports} what="imports">
          {(rows) => (
            <Rows
              caption="Imports"
              rows={rows}
              columns={columns}
              keyOf={(each) => each.name}
              empty="Nothing was imported yet"
            />
          )}
        </Shown>
      </Panel>
      {removed && (
        <Confirm
          title={`Remove ${removed.name}?`}
          action="Remove"
          run={() => void remove.run(removed.name)}
          close={() => setRemoved(null)}
        >
          Its indicators are no longer looked for. Incidents that named them stay.
        </Confirm>
      )}
    </div>
  );
}

async function sent(given: FormData): Promise<Imported> {
  const content = await (given.get("file") as File).text();
  return answered(api.POST("/api/v1/indicators/import", { body: { name: String(given.get("name")), content } }));
}

const REFUSED: Column<RefusedEntry>[] = [
  { title: "Line", align: "right", show: (each) => each.line ?? "–" },
  { title: "Entry", show: (each) => <code>{each.entry}</code> },
  { title: "Why", show: (each) => each.reason },
];
