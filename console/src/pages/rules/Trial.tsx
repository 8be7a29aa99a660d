/** Tries the text of a rule on the flows of the last hours, without keeping it. */
import { useState } from "preact/hooks";
import { useAction } from "../../api/acting";
import { answered, api } from "../../api/client";
import type { RuleFault, RuleTrial, TrialDetection, TrialResult } from "../../api/schema";
import { count } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { Area, Field, Form } from "../../parts/Field";
import { Panel } from "../../parts/Panel";
import { type Column, Rows } from "../../parts/Rows";
import { Severity } from "../../parts/Severity";
import { State } from "../../parts/State";
import { Time } from "../../parts/Time";
import style from "./Trial.module.css";

export function Trial({ text = "" }: { text?: string }) {
  const [result, setResult] = useState<TrialResult | null>(null);
  const trial = useAction((body: RuleTrial) => answered(api.POST("/api/v1/rules/test", { body })), {
    after: setResult,
  });
  const send = (given: FormData) =>
    void trial.run({ text: String(given.get("text")), hours: Number(given.get("hours")) });
  return (
    <div class={style.parts}>
      <Panel title="Rule" note="YAML: an own rule or a Sigma rule. Nothing is kept.">
        <Form send={send}>
          <Area
            name="text"
            label="Text"
            rows={14}
            spellcheck={false}
            defaultValue={text}
            required
            problem={trial.problems.text}
          />
          <Field
            name="hours"
            label="Hours to look back"
            type="number"
            min={1}
            max={168}
            value={24}
            problem={trial.problems.hours}
          />
          <Button kind="main" type="submit" disabled={trial.isBusy}>
            {trial.isBusy ? "Trying" : "Try it"}
          </Button>
        </Form>
      </Panel>
      {result && <Result result={result} />}
    </div>
  );
}

function Result({ result }: { result: TrialResult }) {
  if (!result.is_valid) {
    return (
      <Panel title="It cannot be read">
        <Rows
          caption="Faults"
          rows={result.errors}
          columns={FAULTS}
          keyOf={(each) => `${each.line} ${each.reason}`}
          empty=""
        />
      </Panel>
    );
  }
  const looked = `${count(result.flows)} flows, ${result.cpu_ms.toFixed(0)} ms${result.is_whole ? "" : "; not all flows of these hours were looked at"}`;
  return (
    <Panel title={`${count(result.matches)} matches`} note={looked}>
      <Rows
        caption="The first matches"
        rows={result.first}
        columns={MATCHES}
        keyOf={(each) => `${each.at} ${each.flow_ids.join()}`}
        empty="No flow of these hours is as the rule says"
      />
    </Panel>
  );
}

const FAULTS: Column<RuleFault>[] = [
  { title: "Line", align: "right", show: (each) => each.line ?? "–" },
  { title: "Field", show: (each) => <code>{each.field}</code> },
  { title: "What is wrong", show: (each) => <State standing="bad">{each.reason}</State> },
  { title: "What to do", show: (each) => each.remedy },
];
const MATCHES: Column<TrialDetection>[] = [
  { title: "When", show: (each) => <Time at={each.at} isExact /> },
  { title: "Severity", show: (each) => <Severity level={each.severity} /> },
  { title: "From", show: (each) => each.orig },
  { title: "To", show: (each) => each.resp },
  { title: "What", show: (each) => each.summary },
];
