/** Shows how the console looks, one's own password, and, to administrators, all settings in force. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { PasswordChange, ShownSetting } from "../api/schema";
import { may, principal } from "../api/session";
import { Button } from "../parts/Button";
import { Field, Form, Select } from "../parts/Field";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { Shown } from "../parts/States";
import { Tabs } from "../parts/Tabs";
import { Sessions } from "../settings/Sessions";
import { type Theme, theme } from "../style/theme";
import style from "./Settings.module.css";

const OWN = { key: "own", title: "Yours", show: () => <Own /> };
const ALL = { key: "platform", title: "The platform's", show: () => <All /> };

export default function Settings() {
  const tabs = may("administrator") && principal.value?.tenant === "default" ? [OWN, ALL] : [OWN];
  return (
    <Page title="Settings">
      <div>
        <Tabs label="Parts of this page" tabs={tabs} />
      </div>
    </Page>
  );
}

const THEMES: [Theme, string][] = [
  ["system", "as the system is"],
  ["light", "light"],
  ["dark", "dark"],
];

function Own() {
  return (
    <div class={style.parts}>
      <Panel title="Colours">
        <Select
          label="Colours of the console"
          options={THEMES}
          value={theme.value}
          onChange={(event) => {
            theme.value = event.currentTarget.value as Theme;
          }}
        />
      </Panel>
      <Password />
      <Sessions />
      <Panel title="Keys">
        <p>
          Press <kbd>?</kbd> on any page to see them.
        </p>
      </Panel>
    </div>
  );
}

function Password() {
  const [key, setKey] = useState(0);
  const change = useAction((body: PasswordChange) => answered(api.POST("/api/v1/me/password", { body })), {
    done: "Your password was changed; your other sessions ended",
    after: () => setKey(key + 1),
  });
  const send = (given: FormData) => void change.run({ old: String(given.get("old")), new: String(given.get("new")) });
  return (
    <Panel title="Password">
      <Form key={key} send={send}>
        <Field
          name="old"
          label="Now"
          type="password"
          autocomplete="current-password"
          required
          problem={change.problems.old}
        />
        <Field
          name="new"
          label="From now on"
          type="password"
          autocomplete="new-password"
          hint="At least 12 characters"
          required
          problem={change.problems.new}
        />
        <Button kind="main" type="submit" disabled={change.isBusy}>
          Change it
        </Button>
      </Form>
    </Panel>
  );
}

function All() {
  const [text, setText] = useState("");
  const settings = useQuery({ queryKey: ["settings"], queryFn: () => answered(api.GET("/api/v1/settings")) });
  return (
    <div class={style.parts}>
      <p class="soft">
        They stand in the file of settings and in variables of the environment; <code>infraspectre config init</code>{" "}
        writes one with all of them. Secrets are never shown: settings name the files that hold them.
      </p>
      <Field
        label="Find a setting"
        type="search"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Shown of={settings} what="settings">
        {(page) => (
          <>
            {sectionsOf(page.items as ShownSetting[], text).map(([section, rows]) => (
              <Panel key={section} title={section}>
                <Rows caption={section} rows={rows} columns={COLUMNS} keyOf={(each) => each.name} empty="" />
              </Panel>
            ))}
          </>
        )}
      </Shown>
    </div>
  );
}

function sectionsOf(settings: ShownSetting[], text: string): [string, ShownSetting[]][] {
  const word = text.trim().toLowerCase();
  const found = settings.filter((each) => `${each.section}.${each.name} ${each.meaning}`.toLowerCase().includes(word));
  const sections = [...new Set(found.map((each) => each.section))];
  return sections.map((section) => [section, found.filter((each) => each.section === section)]);
}

const written = (value: unknown) => (typeof value === "string" ? value || "(empty)" : JSON.stringify(value));
const COLUMNS: Column<ShownSetting>[] = [
  { title: "Setting", show: (each) => <code>{each.name}</code> },
  { title: "Value", show: (each) => <code class={each.is_set ? style.set : undefined}>{written(each.value)}</code> },
  { title: "Default", show: (each) => <code class="soft">{written(each.default)}</code> },
  { title: "Meaning", show: (each) => each.meaning },
];
