/** Shows a rule: its text, what it found, what it costs; and switches it. */
import { useQuery } from "@tanstack/preact-query";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { RuleDetail } from "../api/schema";
import { may } from "../api/session";
import { count, percent } from "../parts/amounts";
import { Button } from "../parts/Button";
import { KeyValue } from "../parts/KeyValue";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { State } from "../parts/State";
import { Empty, Shown } from "../parts/States";
import { Time } from "../parts/Time";
import style from "./Rule.module.css";
import { STANDING, titleOf, WORDS } from "./Rules";

export default function Rule({ params }: { params: { id: string } }) {
  const at = { path: { rule_id: params.id } };
  const rule = useQuery({
    queryKey: ["rules", params.id],
    queryFn: () => answered(api.GET("/api/v1/rules/{rule_id}", { params: at })),
  });
  const change = useAction(
    (enabled: boolean) => answered(api.PATCH("/api/v1/rules/{rule_id}", { params: at, body: { enabled } })),
    {
      done: "The worker follows within a minute",
      changes: ["rules"],
    },
  );
  const state = rule.data?.summary.state;
  const canSwitch = may("engineer") && (state === "on" || state === "off");
  return (
    <Page
      title={rule.data ? titleOf(rule.data.summary) : params.id}
      note={rule.data?.about || rule.data?.summary.title}
      tools={
        canSwitch && (
          <Button disabled={change.isBusy} onClick={() => void change.run(state === "off")}>
            {state === "off" ? "Switch on" : "Switch off"}
          </Button>
        )
      }
    >
      <Shown of={rule} what="the rule">
        {(found) => <Detail rule={found} />}
      </Shown>
    </Page>
  );
}

function Detail({ rule }: { rule: RuleDetail }) {
  const { summary } = rule;
  return (
    <>
      <Panel title="How it stands">
        <KeyValue
          rows={[
            [
              "State",
              <State key="state" standing={STANDING[summary.state]}>
                {WORDS[summary.state]}
              </State>,
            ],
            ["Severity", <Severity key="severity" level={summary.severity} />],
            ["Kind", summary.kind],
            ["Techniques", summary.techniques.join(", ") || "none"],
            ["Hits in 30 days", count(summary.hits)],
            ["Last hit", summary.last_hit ? <Time key="hit" at={summary.last_hit} /> : "none"],
            [
              "CPU time",
              summary.cost
                ? `${summary.cost.cpu_ms.toFixed(0)} ms, ${percent(summary.cost.share)} of its kind`
                : "not measured",
            ],
            ["File", `${summary.file}, line ${summary.line}`],
            [
              "Switched",
              rule.switched_at ? (
                <span key="switched">
                  {rule.switched_by}, <Time at={rule.switched_at} />
                </span>
              ) : (
                "never"
              ),
            ],
          ]}
        />
        {summary.reason && (
          <p>
            <State standing="bad">{summary.reason}</State>
          </p>
        )}
      </Panel>
      <Panel title="Text">
        {rule.text ? <Text text={rule.text} first={summary.line} /> : <Empty title="Its file cannot be read here" />}
      </Panel>
    </>
  );
}

function Text({ text, first }: { text: string; first: number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <pre class={style.text} tabIndex={0}>
      <ol start={first}>
        {text.split("\n").map((line, place) => (
          <li key={place}>{line || " "}</li>
        ))}
      </ol>
    </pre>
  );
}
