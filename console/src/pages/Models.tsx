/** Lists the models: those that come with the product, and the site's own with their stages. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { ModelStatus, RegisteredModel, RetrainingRequest, Version } from "../api/schema";
import { may } from "../api/session";
import { count } from "../parts/amounts";
import { Button } from "../parts/Button";
import { Dialog } from "../parts/Dialog";
import { Field, Form } from "../parts/Field";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { Stage, stageOf } from "../parts/Stage";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { Learning } from "./models/Learning";

/** Return the day on which a model was made; those that are made the same every time tell none. */
export const dayOf = (at: string) => (Date.parse(at) > 0 ? at.slice(0, 10) : "–");
export const modelPath = (name: string) => `/models/${encodeURIComponent(name)}`;

export default function Models() {
  const [isOrdering, setOrdering] = useState(false);
  const own = useQuery({ queryKey: ["registry"], queryFn: () => answered(api.GET("/api/v1/registry")) });
  const builtin = useQuery({ queryKey: ["models"], queryFn: () => answered(api.GET("/api/v1/models")) });
  return (
    <Page
      title="Models"
      note="What judges flows beside rules, how good it was on data that it had not learnt, and which version is in use."
      tools={
        may("engineer") && (
          <Button kind="main" onClick={() => setOrdering(true)}>
            Learn from verdicts
          </Button>
        )
      }
    >
      <Learning />
      <Panel title="Your own" note="Learnt from your verdicts, or registered by your engineers.">
        <Shown of={own} what="registered models">
          {(models) => (
            <Rows
              caption="Registered models"
              rows={models}
              columns={OWN}
              keyOf={(model) => model.name}
              empty="No model is registered yet: learn one from verdicts, or register one with infraspectre models register"
            />
          )}
        </Shown>
      </Panel>
      <Panel title="With the product">
        <Shown of={builtin} what="models">
          {(models) => (
            <Rows
              caption="Models that come with the product"
              rows={models}
              columns={BUILTIN}
              keyOf={(model) => model.name}
              empty="None came with this installation"
            />
          )}
        </Shown>
      </Panel>
      {isOrdering && <Retraining close={() => setOrdering(false)} />}
    </Page>
  );
}

const inProduction = (model: RegisteredModel) => model.versions.find((each) => stageOf(each) === "production");
const latest = (model: RegisteredModel) => model.versions[model.versions.length - 1] as Version;

const OWN: Column<RegisteredModel>[] = [
  { title: "Name", show: (model) => <Link href={modelPath(`registry:${model.name}`)}>{model.name}</Link> },
  { title: "In production", show: (model) => inProduction(model)?.version ?? <span class="soft">none</span> },
  { title: "Latest", show: (model) => latest(model).version },
  { title: "Stage of the latest", show: (model) => <Stage stage={stageOf(latest(model))} /> },
  { title: "Came there", show: (model) => <Time at={latest(model).moves.at(-1)?.at ?? ""} /> },
];

const BUILTIN: Column<ModelStatus>[] = [
  { title: "Name", show: (model) => <Link href={modelPath(model.name)}>{model.name}</Link> },
  { title: "Task", show: (model) => model.task },
  { title: "Kind", show: (model) => model.kind },
  { title: "Classes", align: "right", show: (model) => count(model.classes.length) },
  { title: "Columns", align: "right", show: (model) => count(model.columns) },
  { title: "Made", show: (model) => dayOf(model.created_at) },
];

function Retraining({ close }: { close: () => void }) {
  const order = useAction((body: RetrainingRequest) => answered(api.POST("/api/v1/retraining", { body })), {
    done: "The job waits for its turn",
    changes: ["jobs"],
    after: close,
  });
  const send = (given: FormData) =>
    void order.run({ name: String(given.get("name")), days: Number(given.get("days")) });
  return (
    <Dialog title="Learn from verdicts" close={close}>
      <Form send={send}>
        <p>
          A model is learnt from the flows of incidents that have a verdict and from ordinary flows. It becomes a
          candidate: it judges nothing until somebody moves it to production.
        </p>
        <Field
          name="name"
          label="Name"
          hint="Small letters, digits and dashes; an existing name gets a new version"
          pattern="[a-z][a-z0-9\-]*"
          required
          problem={order.problems.name}
        />
        <Field
          name="days"
          label="Days to learn from"
          type="number"
          min={1}
          max={365}
          value={30}
          problem={order.problems.days}
        />
        <Button kind="main" type="submit" disabled={order.isBusy}>
          Start
        </Button>
      </Form>
    </Dialog>
  );
}
