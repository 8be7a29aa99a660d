/** Lists the systems and people who are told, and adds some. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../../api/acting";
import { answered, api, listed } from "../../api/client";
import type { Integration, NewIntegration } from "../../api/schema";
import { count } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { Field, Form, Select } from "../../parts/Field";
import { linesOf } from "../../parts/lines";
import { Panel } from "../../parts/Panel";
import { type Column, Rows } from "../../parts/Rows";
import { Shown } from "../../parts/States";
import { FilterLines } from "./FilterLines";
import { type Reach, Receiver } from "./Receiver";
import { StandingState } from "./Standing";

type Platform = NewIntegration["platform"];
const LIST = "integrations";
const MOST = 100;

const ABOUT: Record<Platform, { title: string; url: string; secret: string; options: string[] }> = {
  splunk: {
    title: "Splunk (HTTP Event Collector)",
    url: "https://splunk.example.com:8088",
    secret: "Token",
    options: ["index", "sourcetype"],
  },
  qradar: { title: "QRadar (LEEF over syslog)", url: "tls://qradar.example.com:6514", secret: "", options: [] },
  sentinel: {
    title: "Microsoft Sentinel (Logs Ingestion)",
    url: "https://NAME.ingest.monitor.azure.com",
    secret: "Client secret",
    options: ["directory", "client", "rule", "stream"],
  },
  elastic: {
    title: "Elasticsearch (ECS)",
    url: "https://elastic.example.com:9200",
    secret: "API key",
    options: ["index"],
  },
  syslog: { title: "Syslog (RFC 5424)", url: "tls://syslog.example.com:6514", secret: "", options: [] },
  slack: { title: "Slack", url: "https://hooks.slack.com/services/", secret: "Path of the webhook", options: [] },
  teams: {
    title: "Microsoft Teams",
    url: "https://NAME.environment.api.powerplatform.com",
    secret: "Path of the workflow",
    options: [],
  },
  email: {
    title: "E-mail (SMTP)",
    url: "smtps://mail.example.com:465",
    secret: "Password",
    options: ["sender", "recipients", "user"],
  },
};
const PLATFORMS = Object.entries(ABOUT).map(([key, about]): [string, string] => [key, about.title]);
const FORMATS = ["the usual one", "cef", "leef", "json", "ecs", "ocsf", "eve", "stix"];

export function Systems() {
  const [isAdding, setAdding] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);
  const systems = useQuery({
    queryKey: [LIST],
    queryFn: () =>
      listed<Integration>(api.GET("/api/v1/integrations/siem", { params: { query: { limit: MOST, order: "name" } } })),
  });
  const columns: Column<Integration>[] = [
    {
      title: "Name",
      show: (each) => (
        <Button kind="quiet" onClick={() => setChosen(each.name)}>
          {each.name}
        </Button>
      ),
    },
    { title: "What", show: (each) => ABOUT[each.kind].title },
    { title: "Where to", show: (each) => <code>{each.url}</code> },
    { title: "Format", show: (each) => each.format },
    { title: "State", show: (each) => <StandingState standing={each.standing} /> },
    { title: "Delivered", align: "right", show: (each) => count(each.standing.delivered) },
    { title: "Waiting", align: "right", show: (each) => count(each.standing.retrying) },
    { title: "Given up", align: "right", show: (each) => count(each.standing.dead) },
  ];
  const open = systems.data?.find((each) => each.name === chosen);
  return (
    <Panel
      title="Systems and people"
      tools={
        <Button kind="main" onClick={() => setAdding(true)}>
          Add one
        </Button>
      }
    >
      <Shown of={systems} what="integrations">
        {(rows) => (
          <Rows
            caption="Systems and people"
            rows={rows}
            columns={columns}
            keyOf={(each) => each.name}
            empty="Nobody else is told yet: add your SIEM, a channel or a mailbox"
          />
        )}
      </Shown>
      {isAdding && <AddSystem close={() => setAdding(false)} />}
      {open && (
        <Receiver
          name={open.name}
          standing={open.standing}
          reach={reachOf(open.name)}
          list={LIST}
          close={() => setChosen(null)}
        />
      )}
    </Panel>
  );
}

function reachOf(name: string): Reach {
  const params = { path: { name } };
  return {
    key: name,
    deliveries: () => answered(api.GET("/api/v1/integrations/siem/{name}/deliveries", { params })),
    test: () => answered(api.POST("/api/v1/integrations/siem/{name}/test", { params })),
    enable: (isEnabled) =>
      answered(api.PATCH("/api/v1/integrations/siem/{name}", { params, body: { is_enabled: isEnabled } })),
    replay: () =>
      answered(api.POST("/api/v1/integrations/siem/{name}/replay", { params, body: { dead_letters: true } })),
    remove: () => answered(api.DELETE("/api/v1/integrations/siem/{name}", { params })),
  };
}

function AddSystem({ close }: { close: () => void }) {
  const [platform, setPlatform] = useState<Platform>("splunk");
  const about = ABOUT[platform];
  const add = useAction((body: NewIntegration) => answered(api.POST("/api/v1/integrations/siem", { body })), {
    done: (made) => `Added ${made.name}`,
    changes: [LIST],
    after: close,
  });
  const send = (given: FormData) => {
    const text = (name: string) => String(given.get(name) ?? "").trim();
    const options = about.options.flatMap((name) => (text(name) ? [[name, text(name)]] : []));
    const format = FORMATS.indexOf(text("format")) > 0 ? (text("format") as NewIntegration["format"]) : null;
    void add.run({
      name: text("name"),
      platform,
      url: text("url"),
      secret: text("secret"),
      format,
      filters: linesOf(text("filters")),
      template: "",
      options: Object.fromEntries(options),
    });
  };
  return (
    <Dialog title="Add a system, a channel or a mailbox" close={close}>
      <Form send={send}>
        <Select
          name="platform"
          label="What it is"
          options={PLATFORMS}
          value={platform}
          onChange={(event) => setPlatform(event.currentTarget.value as Platform)}
        />
        <Field name="name" label="Name" hint="Small letters, digits and dashes" required problem={add.problems.name} />
        <Field name="url" label="Where to" placeholder={about.url} required problem={add.problems.url} />
        {about.secret && (
          <Field
            name="secret"
            label={about.secret}
            type="password"
            autocomplete="off"
            hint="It is kept sealed and never shown"
            problem={add.problems.secret}
          />
        )}
        {about.options.map((name) => (
          <Field key={name} name={name} label={name} problem={add.problems[`options.${name}`]} />
        ))}
        <Select name="format" label="Format" options={FORMATS} />
        <FilterLines problem={add.problems.filters} />
        <Button kind="main" type="submit" disabled={add.isBusy}>
          Add
        </Button>
      </Form>
    </Dialog>
  );
}
