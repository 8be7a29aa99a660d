/** Does the same with all selected incidents. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { principal } from "../api/session";
import { Button } from "../parts/Button";
import { tell } from "../parts/tell";
import { change, type Status, type Verdict } from "./asking";
import style from "./Bulk.module.css";
import { VERDICTS } from "./verdicts";

type Operation = components["schemas"]["BulkOperation"]["operation"];
type Change = { status?: Status; assignee?: string; verdict?: Verdict };
/** The API takes this many at once. */
const AT_ONCE = 1_000;

async function doWith(ids: string[], operation: Operation, parameters: Change) {
  const all = { changed: 0, failed: [] as string[] };
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const body = {
      operation,
      incident_ids: ids.slice(from, from + AT_ONCE),
      parameters: { comment: "", ...parameters },
    };
    const done = await answered(api.POST("/api/v1/incidents/bulk-operations", { body }));
    all.changed += done.changed.length;
    all.failed.push(...Object.values(done.failed));
  }
  return all;
}

export function Bulk({ ids, clear }: { ids: ReadonlySet<string>; clear: () => void }) {
  const client = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const run = async (operation: Operation, part: Change) => {
    setBusy(true);
    try {
      const { changed, failed } = await doWith([...ids], operation, part);
      for (const id of ids)
        change(client, id, part.verdict && part.verdict !== "unsure" ? { ...part, status: "closed" } : part);
      tell(
        `${changed} changed${failed.length ? `, ${failed.length} not: ${failed[0]}` : ""}`,
        failed.length ? "failed" : "done",
      );
      clear();
    } catch (error) {
      tell(`Nothing more was changed: ${(error as Error).message}`, "failed");
    }
    setBusy(false);
  };
  const me = principal.value?.subject ?? "";
  return (
    <section class={style.bar} aria-label="What to do with the selected incidents">
      <strong>{ids.size} selected</strong>
      <Choice
        label="Give a verdict"
        isBusy={isBusy}
        values={VERDICTS.map((each) => [each.verdict, each.words])}
        choose={(verdict) => run("classify", { verdict: verdict as Verdict })}
      />
      <Choice
        label="Set the status"
        isBusy={isBusy}
        values={["new", "open", "closed"].map((each) => [each, each])}
        choose={(status) => run("update_status", { status: status as Status })}
      />
      <Button disabled={isBusy} onClick={() => run("assign", { assignee: me })}>
        Assign to me
      </Button>
      <Button disabled={isBusy} onClick={() => run("assign", { assignee: "" })}>
        Assign to nobody
      </Button>
      <Button kind="quiet" onClick={clear}>
        Clear
      </Button>
    </section>
  );
}

type ChoiceProps = { label: string; isBusy: boolean; values: string[][]; choose: (value: string) => void };

function Choice({ label, isBusy, values, choose }: ChoiceProps) {
  return (
    <select
      class={style.choice}
      aria-label={label}
      disabled={isBusy}
      value=""
      onChange={(event) => choose(event.currentTarget.value)}
    >
      <option value="" disabled>
        {label}
      </option>
      {values.map(([value, words]) => (
        <option key={value} value={value}>
          {words}
        </option>
      ))}
    </select>
  );
}
