/** Shows a model: how good it was, what counts in it, whether the traffic moved away, and its versions. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { Drift, Importance, ModelStatus, Version } from "../api/schema";
import { may } from "../api/session";
import { count, percent } from "../parts/amounts";
import { Bars } from "../parts/Bars";
import { Confirm } from "../parts/Confirm";
import { KeyValue } from "../parts/KeyValue";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { type Column, Rows } from "../parts/Rows";
import { Stage, type StageName, stageOf } from "../parts/Stage";
import { State } from "../parts/State";
import { Empty, Shown } from "../parts/States";
import { Time } from "../parts/Time";
import style from "./Model.module.css";
import { dayOf } from "./Models";
import { Evaluation } from "./models/Evaluation";

const REGISTRY = "registry:";
const MOST_COLUMNS = 20;
const STAGES: StageName[] = ["candidate", "staging", "production", "archived"];

export default function Model({ params }: { params: { id: string } }) {
  const name = params.id;
  const at = { params: { path: { name } } };
  const model = useQuery({ queryKey: ["model", name], queryFn: () => answered(api.GET("/api/v1/models/{name}", at)) });
  return (
    <Page title={<code>{name}</code>} note={model.data && `${model.data.kind}, which is to ${model.data.task}`}>
      <Shown of={model} what="the model">
        {(found) => (
          <>
            <About model={found} />
            {found.card && <Evaluation card={found.card} />}
          </>
        )}
      </Shown>
      {name.startsWith(REGISTRY) && <Versions name={name.slice(REGISTRY.length)} />}
      <Counting name={name} />
      <Drifting name={name} />
    </Page>
  );
}

function About({ model }: { model: ModelStatus }) {
  return (
    <Panel title="Report card" note="Measured on rows that were held out of training.">
      <div class={style.card}>
        <KeyValue
          rows={[
            ["Made", dayOf(model.created_at)],
            ["Columns", count(model.columns)],
            ["Signed", model.is_signed ? "yes" : "no"],
            [`Classes (${count(model.classes.length)})`, model.classes.join(", ") || "none"],
          ]}
        />
        <Measures metrics={model.metrics} />
        {model.warnings.map((warning) => (
          <p key={warning}>
            <State standing="bad">{warning}</State>
          </p>
        ))}
      </div>
    </Panel>
  );
}

/** Shares are drawn from none to all, so that 0.9 looks as near to whole as it is; other figures are told. */
function Measures({ metrics }: { metrics: Record<string, number> }) {
  const told = Object.entries(metrics);
  const shares = told.filter(([, value]) => value >= 0 && value <= 1);
  const others = told.filter(([, value]) => value < 0 || value > 1);
  if (told.length === 0) return <p class="soft">No figures were kept with this model when it was made.</p>;
  const bars = shares.map(([name, value]) => ({ name: wordsOf(name), value, words: figureOf(value) }));
  return (
    <>
      {bars.length > 0 && <Bars title="Measures, from 0 to 1" bars={bars} whole={1} />}
      {others.length > 0 && <KeyValue rows={others.map(([name, value]) => [wordsOf(name), figureOf(value)])} />}
    </>
  );
}

const wordsOf = (name: string) => name.replaceAll("_", " ");
const figureOf = (value: number) => (Number.isInteger(value) ? count(value) : value.toFixed(4));

function Versions({ name }: { name: string }) {
  const [move, setMove] = useState<{ version: number; stage: StageName } | null>(null);
  const at = { path: { name } };
  const versions = useQuery({
    queryKey: ["registry", name],
    queryFn: () => answered(api.GET("/api/v1/models/{name}/versions", { params: at })),
  });
  const promote = useAction(
    (body: { version: number; stage: StageName }) =>
      answered(api.POST("/api/v1/models/{name}/stage", { params: at, body })),
    { done: (version) => `Version ${version.version} is at ${stageOf(version)}`, changes: ["registry", "model"] },
  );
  const columns: Column<Version>[] = [
    { title: "Version", show: (each) => each.version },
    { title: "Stage", show: (each) => <Stage stage={stageOf(each)} /> },
    { title: "Since", show: (each) => <Time at={each.moves.at(-1)?.at ?? ""} /> },
    { title: "Content", show: (each) => <code title={each.content_id}>{each.content_id.slice(0, 12)}</code> },
    { title: "Measured", show: (each) => <Measured metrics={each.metrics} /> },
    {
      title: "Move to",
      align: "right",
      show: (each) =>
        may("engineer") && (
          <select
            aria-label={`Move version ${each.version} to`}
            value={stageOf(each)}
            onChange={(event) => setMove({ version: each.version, stage: event.currentTarget.value as StageName })}
          >
            {STAGES.map((stage) => (
              <option key={stage}>{stage}</option>
            ))}
          </select>
        ),
    },
  ];
  return (
    <Panel title="Versions" note="At most one is in production.">
      <Shown of={versions} what="versions">
        {(found) => (
          <Rows
            caption="Versions"
            rows={[...found].reverse()}
            columns={columns}
            keyOf={(each) => String(each.version)}
            empty="There are no versions"
          />
        )}
      </Shown>
      {move && (
        <Confirm
          title={`Move version ${move.version} to ${move.stage}?`}
          action={`Move to ${move.stage}`}
          run={() => void promote.run(move)}
          close={() => setMove(null)}
        >
          {move.stage === "production"
            ? "Predictions use it from now on, and what was in production before is archived."
            : "It is no longer in production if it was; predictions that name the production version are refused then."}
        </Confirm>
      )}
    </Panel>
  );
}

function Measured({ metrics }: { metrics: Record<string, number> }) {
  const told = Object.entries(metrics).slice(0, 3);
  return (
    <span class="soft">
      {told.map(([name, value]) => `${wordsOf(name)} ${figureOf(value)}`).join(" · ") || "nothing"}
    </span>
  );
}

function Counting({ name }: { name: string }) {
  const importance = useQuery({
    queryKey: ["importance", name],
    queryFn: () => answered(api.GET("/api/v1/models/{name}/feature-importance", { params: { path: { name } } })),
  });
  const bar = (each: Importance) => ({ name: each.column, value: each.share, words: percent(each.share) });
  return (
    <Panel title="What counts">
      <Shown of={importance} what="what counts">
        {({ columns }) =>
          columns.length ? (
            <Bars
              title={`Share of each column, the ${MOST_COLUMNS} largest`}
              bars={columns.slice(0, MOST_COLUMNS).map(bar)}
            />
          ) : (
            <Empty title="This kind of model does not say what counts in it" />
          )
        }
      </Shown>
    </Panel>
  );
}

function Drifting({ name }: { name: string }) {
  const drift = useQuery({
    queryKey: ["drift", name],
    queryFn: () => answered(api.GET("/api/v1/models/{name}/drift", { params: { path: { name } } })),
  });
  return (
    <Panel title="Drift" note="Flows of the last 24 hours beside those that it learnt from.">
      <Shown of={drift} what="drift">
        {(found) =>
          found.flows === 0 ? (
            <Empty title="There were no flows to compare in the last 24 hours" />
          ) : (
            <>
              <p>
                {found.has_drifted ? <State standing="bad">has drifted</State> : <State standing="good">holds</State>}:
                compared {count(found.flows)} flows.
              </p>
              <Rows
                caption="Drift by column"
                rows={[...found.columns]
                  .sort((one, other) => other.population_stability - one.population_stability)
                  .slice(0, MOST_COLUMNS)}
                columns={DRIFT}
                keyOf={(each) => each.column}
                empty="No column can be compared"
              />
            </>
          )
        }
      </Shown>
    </Panel>
  );
}

const DRIFT: Column<Drift>[] = [
  { title: "Column", show: (each) => each.column },
  { title: "Population stability index", align: "right", show: (each) => each.population_stability.toFixed(3) },
  { title: "Distance (Kolmogorov-Smirnov)", align: "right", show: (each) => each.distance?.toFixed(3) ?? "–" },
  { title: "Unknown before", align: "right", show: (each) => percent(each.unknown_before) },
  { title: "Unknown now", align: "right", show: (each) => percent(each.unknown_now) },
];
