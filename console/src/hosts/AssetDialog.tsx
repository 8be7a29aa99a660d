/** Lets engineers write down what an address is. */
import { useQuery } from "@tanstack/preact-query";
import { useAction } from "../api/acting";
import { Button } from "../parts/Button";
import { Dialog } from "../parts/Dialog";
import { Area, Field, Form, Select } from "../parts/Field";
import { LEVELS, type Level } from "../parts/Severity";
import { Shown } from "../parts/States";
import { type Asset, assetOf, type Facts, keep } from "./asking";

type Known = { asset: Asset; tag: string } | null;

export function AssetDialog({ network, close }: { network: string; close: () => void }) {
  const asked = useQuery({ queryKey: ["asset", network], queryFn: () => assetOf(network), staleTime: 0, gcTime: 0 });
  return (
    <Dialog title={`What is known about ${network}`} close={close}>
      <Shown of={asked} what="what is known">
        {(known) => <FactsForm network={network} known={known} close={close} />}
      </Shown>
    </Dialog>
  );
}

const CRITICALITY: [string, string][] = [["", "unknown"], ...LEVELS.map((level): [string, string] => [level, level])];

function FactsForm({ network, known, close }: { network: string; known: Known; close: () => void }) {
  const { run, isBusy, problems } = useAction((facts: Facts) => keep(network, facts, known?.tag ?? null), {
    done: "Written down; hosts show it within half a minute",
    changes: ["host", "hosts", "asset"],
    after: close,
  });
  const asset = known?.asset;
  return (
    <Form send={(given) => void run(factsOf(given))}>
      <Field label="Name" name="name" defaultValue={asset?.name ?? ""} maxLength={200} problem={problems.name} />
      <Select
        label="Criticality"
        name="criticality"
        hint="How much depends on it; incidents of critical hosts score higher."
        options={CRITICALITY}
        defaultValue={asset?.criticality ?? ""}
        problem={problems.criticality}
      />
      <Field
        label="Roles"
        name="roles"
        hint="Words with commas between them, such as dns-server, backup."
        defaultValue={asset?.roles.join(", ") ?? ""}
        problem={problems.roles}
      />
      <Field label="Owner" name="owner" defaultValue={asset?.owner ?? ""} maxLength={200} problem={problems.owner} />
      <Area
        label="Note"
        name="note"
        rows={3}
        defaultValue={asset?.note ?? ""}
        maxLength={2_000}
        problem={problems.note}
      />
      <div>
        <Button kind="main" type="submit" disabled={isBusy}>
          Save
        </Button>{" "}
        <Button onClick={close}>Cancel</Button>
      </div>
    </Form>
  );
}

function factsOf(given: FormData): Facts {
  const text = (name: string) => String(given.get(name) ?? "").trim();
  const roles = text("roles")
    .split(",")
    .map((role) => role.trim());
  return {
    name: text("name"),
    criticality: (text("criticality") || null) as Level | null,
    roles: roles.filter(Boolean),
    owner: text("owner"),
    note: text("note"),
  };
}
