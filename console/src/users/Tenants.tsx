/** Manages tenants, each with users, hosts and incidents of its own. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api, listed } from "../api/client";
import type { MadeTenant, NewTenant, Tenant } from "../api/schema";
import { Button } from "../parts/Button";
import { Dialog } from "../parts/Dialog";
import { Field, Form } from "../parts/Field";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { MOST } from "./roles";
import { Secret } from "./Secret";

export function Tenants() {
  const [isAdding, setAdding] = useState(false);
  const [made, setMade] = useState<MadeTenant | null>(null);
  const tenants = useQuery({
    queryKey: ["tenants"],
    queryFn: () => listed<Tenant>(api.GET("/api/v1/tenants", { params: { query: { limit: MOST, order: "name" } } })),
  });
  const add = useAction((body: NewTenant) => answered(api.POST("/api/v1/tenants", { body })), {
    changes: ["tenants"],
    after: (tenant) => {
      setAdding(false);
      setMade(tenant);
    },
  });
  const columns: Column<Tenant>[] = [
    { title: "Name", show: (tenant) => <strong>{tenant.name}</strong> },
    { title: "Title", show: (tenant) => tenant.title },
    { title: "Added", show: (tenant) => <Time at={tenant.created_at} /> },
  ];
  return (
    <Panel
      title="Tenants"
      note="Each has its own users, hosts and incidents, and sees nothing of the others."
      tools={
        <Button kind="main" onClick={() => setAdding(true)}>
          Add a tenant
        </Button>
      }
    >
      <Shown of={tenants} what="tenants">
        {(rows) => (
          <Rows
            caption="Tenants"
            rows={rows}
            columns={columns}
            keyOf={(tenant) => tenant.name}
            empty="There is none but this one"
          />
        )}
      </Shown>
      {isAdding && (
        <Dialog title="Add a tenant" close={() => setAdding(false)}>
          <Form send={(given) => void add.run(Object.fromEntries(given) as NewTenant)}>
            <Field
              name="name"
              label="Name"
              hint="Small letters, digits and dashes"
              required
              problem={add.problems.name}
            />
            <Field name="title" label="Title" problem={add.problems.title} />
            <Button kind="main" type="submit" disabled={add.isBusy}>
              Add
            </Button>
          </Form>
        </Dialog>
      )}
      {made && (
        <Secret title={`The administrator's key of ${made.name}`} secret={made.key} close={() => setMade(null)} />
      )}
    </Panel>
  );
}
