/** Manages who may use the platform: users, keys of programs, and tenants. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api, listed, tagOf } from "../api/client";
import type { ApiKey, MadeKey, MadeTenant, NewKey, NewTenant, NewUser, Tenant, User, UserChange } from "../api/schema";
import { principal } from "../api/session";
import { Button } from "../parts/Button";
import { Confirm } from "../parts/Confirm";
import { CopyText } from "../parts/CopyText";
import { Dialog } from "../parts/Dialog";
import { Field, Form, Select } from "../parts/Field";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { State } from "../parts/State";
import { Shown } from "../parts/States";
import { Tabs } from "../parts/Tabs";
import { Time } from "../parts/Time";

type Role = NewKey["role"];
const ROLES: [Role, string][] = [
  ["viewer", "viewer: sees"],
  ["analyst", "analyst: also gives verdicts and approves responses"],
  ["engineer", "engineer: also changes rules, models and integrations"],
  ["administrator", "administrator: also manages users, keys and the audit"],
];
const OF_PROGRAMS: [Role, string][] = [...ROLES, ["sensor", "sensor: sends events and flows, and nothing else"]];
const MOST = 200;

const at = (name: string) => ({ path: { name } });
const tagOfUser = (name: string) => tagOf(api.GET("/api/v1/users/{name}", { params: at(name) }));

async function changeUser({ name, ...body }: UserChange & { name: string }): Promise<User> {
  const header = await tagOfUser(name);
  return answered(api.PATCH("/api/v1/users/{name}", { params: { ...at(name), header }, body }));
}

async function removeUser(name: string): Promise<unknown> {
  const header = await tagOfUser(name);
  return answered(api.DELETE("/api/v1/users/{name}", { params: { ...at(name), header } }));
}

export default function Users() {
  const tabs = [
    { key: "users", title: "Users", show: () => <People /> },
    { key: "keys", title: "Keys of programs", show: () => <Keys /> },
    ...(principal.value?.tenant === "default" ? [{ key: "tenants", title: "Tenants", show: () => <Tenants /> }] : []),
  ];
  return (
    <Page
      title="Users and keys"
      note="People log in; programs have keys. Each sees what its role may, within its tenant."
    >
      <div>
        <Tabs label="Parts of this page" tabs={tabs} />
      </div>
    </Page>
  );
}

function People() {
  const [isAdding, setAdding] = useState(false);
  const [dismissed, setDismissed] = useState<User | null>(null);
  const users = useQuery({
    queryKey: ["users"],
    queryFn: () => listed<User>(api.GET("/api/v1/users", { params: { query: { limit: MOST, order: "name" } } })),
  });
  const change = useAction(changeUser, { done: (user) => `Changed ${user.name}`, changes: ["users"] });
  const remove = useAction(removeUser, { done: "Removed the user", changes: ["users"] });
  const isSelf = (user: User) => user.name === principal.value?.subject;
  const columns: Column<User>[] = [
    { title: "Name", show: (user) => <strong>{user.name}</strong> },
    {
      title: "Role",
      show: (user) => (
        <RoleChoice user={user} isFixed={isSelf(user)} choose={(role) => void change.run({ name: user.name, role })} />
      ),
    },
    { title: "Added", show: (user) => <Time at={user.created_at} /> },
    {
      title: "State",
      show: (user) =>
        user.is_disabled ? <State standing="off">disabled</State> : <State standing="good">may log in</State>,
    },
    {
      title: "Actions",
      align: "right",
      show: (user) =>
        !isSelf(user) && (
          <>
            <Button onClick={() => void change.run({ name: user.name, is_disabled: !user.is_disabled })}>
              {user.is_disabled ? "Enable" : "Disable"}
            </Button>{" "}
            <Button kind="danger" onClick={() => setDismissed(user)}>
              Remove
            </Button>
          </>
        ),
    },
  ];
  return (
    <Panel
      title="Users"
      tools={
        <Button kind="main" onClick={() => setAdding(true)}>
          Add a user
        </Button>
      }
    >
      <Shown of={users} what="users">
        {(rows) => (
          <Rows
            caption="Users"
            rows={rows}
            columns={columns}
            keyOf={(user) => user.name}
            empty="There are no users yet"
          />
        )}
      </Shown>
      {isAdding && <AddUser close={() => setAdding(false)} />}
      {dismissed && (
        <Confirm
          title={`Remove ${dismissed.name}?`}
          action="Remove"
          run={() => void remove.run(dismissed.name)}
          close={() => setDismissed(null)}
        >
          All sessions of this user end at once. Verdicts and the audit keep the name.
        </Confirm>
      )}
    </Panel>
  );
}

function RoleChoice({ user, isFixed, choose }: { user: User; isFixed: boolean; choose: (role: User["role"]) => void }) {
  if (isFixed) return <>{user.role} (you)</>;
  return (
    <select
      aria-label={`Role of ${user.name}`}
      value={user.role}
      onChange={(event) => choose(event.currentTarget.value as User["role"])}
    >
      {ROLES.map(([role]) => (
        <option key={role}>{role}</option>
      ))}
    </select>
  );
}

function AddUser({ close }: { close: () => void }) {
  const add = useAction((body: NewUser) => answered(api.POST("/api/v1/users", { body })), {
    done: (user) => `Added ${user.name}`,
    changes: ["users"],
    after: close,
  });
  const send = (given: FormData) => void add.run(Object.fromEntries(given) as NewUser);
  return (
    <Dialog title="Add a user" close={close}>
      <Form send={send}>
        <Field
          name="name"
          label="Name"
          hint="Small letters, digits, dots and dashes"
          required
          problem={add.problems.name}
        />
        <Select name="role" label="Role" options={ROLES} problem={add.problems.role} />
        <Field
          name="password"
          label="First password"
          type="password"
          autocomplete="new-password"
          hint="At least 12 characters; the user can change it"
          required
          problem={add.problems.password}
        />
        <Button kind="main" type="submit" disabled={add.isBusy}>
          Add
        </Button>
      </Form>
    </Dialog>
  );
}

function Keys() {
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

function Secret({ title, secret, close }: { title: string; secret: string; close: () => void }) {
  return (
    <Dialog title={title} close={close}>
      <Form send={close}>
        <p>It is shown this once. Keep it where only its program can read it.</p>
        <CopyText text={secret} label="the key" />
        <Button kind="main" type="submit">
          I have kept it
        </Button>
      </Form>
    </Dialog>
  );
}

function Tenants() {
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
