/** Manages users: people who log in. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api, listed, tagOf } from "../api/client";
import type { NewUser, User, UserChange } from "../api/schema";
import { principal } from "../api/session";
import { Button } from "../parts/Button";
import { Confirm } from "../parts/Confirm";
import { Dialog } from "../parts/Dialog";
import { Field, Form, Select } from "../parts/Field";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { State } from "../parts/State";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { MOST, ROLES } from "./roles";

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

export function People() {
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
