/** Proposes what to do: what each step would change, who decided about it, and what became of it. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answered, api } from "../api/client";
import { may } from "../api/session";
import { Button } from "../parts/Button";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { tell } from "../parts/tell";
import { KEY, type Plan, type PlanStep, usePlan } from "./asking";
import style from "./Response.module.css";

export function Response({ id }: { id: string }) {
  const asked = usePlan(id);
  return (
    <Panel title="What to do" note={asked.data && `${asked.data.playbook}, ${asked.data.priority}`}>
      <Shown of={asked} what="the response plan">
        {(plan) => (
          <>
            {plan.is_dry_run && (
              <p class={style.note}>
                Approval changes nothing here: no runner is set, so that each step is only written down as if it were
                done.
              </p>
            )}
            <Told plan={plan} />
            <ol class={style.steps}>
              {plan.steps.map((step, place) => (
                <Step key={step.step_id} id={id} step={step} isNews={step.why !== plan.steps[place - 1]?.why} />
              ))}
            </ol>
          </>
        )}
      </Shown>
    </Panel>
  );
}

function Told({ plan }: { plan: Plan }) {
  if (plan.escalations.length === 0) return null;
  return (
    <ul class={style.escalations}>
      {plan.escalations.map((each) => (
        <li key={each.to}>
          Tell <strong>{each.to}</strong> within {each.within_minutes} minutes: {each.reason}
        </li>
      ))}
    </ul>
  );
}

/** `isNews` says that the step has another reason than the one before it. */
function Step({ id, step, isNews }: { id: string; step: PlanStep; isNews: boolean }) {
  return (
    <li class={`${style.step} ${step.is_planned ? "" : style.past}`}>
      <div class={style.top}>
        <span class={style.kind}>{step.kind}</span>
        <strong>{step.action}</strong>
        {step.target && <span class="even">{step.target}</span>}
        <span class={style.by}>
          due <Time at={step.deadline_at} />
        </span>
      </div>
      {step.why && isNews && <p class="soft">{step.why}</p>}
      {step.is_automated ? <Decision id={id} step={step} /> : <Command step={step} />}
    </li>
  );
}

const STATES: Record<PlanStep["state"], string> = {
  proposed: "waits for a decision",
  approved: "approved",
  running: "being done",
  done: "done",
  undone: "taken back",
  failed: "failed",
  refused: "refused",
};

function Decision({ id, step }: { id: string; step: PlanStep }) {
  const [isBusy, act] = useDecision(id, step);
  const isOpen = ["proposed", "failed", "undone", "refused"].includes(step.state) && step.is_planned;
  return (
    <>
      {step.preview && (
        <details>
          <summary>What exactly would be done</summary>
          <pre class={style.code}>{step.preview}</pre>
        </details>
      )}
      {step.refusal && <p class={style.refusal}>Not without an engineer: {step.refusal}</p>}
      <div class={style.decision}>
        <span class={style[step.state]}>{STATES[step.state]}</span>
        {step.by && (
          <span class="soft">
            by {step.by}
            {step.at && (
              <>
                , <Time at={step.at} />
              </>
            )}
            {step.lease_until && (
              <>
                ; ends <Time at={step.lease_until} isExact />
              </>
            )}
          </span>
        )}
        {may("analyst") && (
          <span class={style.buttons}>
            {isOpen && (
              <Button
                kind="main"
                disabled={isBusy || (!!step.refusal && !may("engineer"))}
                onClick={() => act("approve")}
              >
                Approve
              </Button>
            )}
            {step.state === "proposed" && (
              <Button disabled={isBusy} onClick={() => act("refuse")}>
                Refuse
              </Button>
            )}
            {(step.state === "done" || step.state === "refused") && (
              <Button disabled={isBusy} onClick={() => act("undo")}>
                Take back
              </Button>
            )}
          </span>
        )}
      </div>
      {step.said && <p class={style.said}>{step.said}</p>}
    </>
  );
}

type Act = "approve" | "refuse" | "undo";

/** Return whether a decision is being carried out, and what carries one out. */
function useDecision(id: string, step: PlanStep): [boolean, (act: Act) => void] {
  const client = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const params = { path: { incident_id: id, step_id: step.step_id } };
  const send = (act: Act) => {
    if (act === "undo") return api.POST("/api/v1/incidents/{incident_id}/response/{step_id}/undo", { params });
    const body = { approve: act === "approve", comment: "", force: act === "approve" && !!step.refusal };
    return api.POST("/api/v1/incidents/{incident_id}/response/{step_id}/approval", { params, body });
  };
  const run = async (act: Act) => {
    setBusy(true);
    try {
      const done = await answered(send(act));
      tell(`${step.action}: ${STATES[done.state]}`, done.state === "failed" ? "failed" : "done");
    } catch (error) {
      tell(`Nothing was done: ${(error as Error).message}`, "failed");
    }
    setBusy(false);
    void client.invalidateQueries({ queryKey: [KEY, id, "response"] });
  };
  return [isBusy, (act) => void run(act)];
}

function Command({ step }: { step: PlanStep }) {
  const commands = Object.entries({ ...(step.command && { command: step.command }), ...step.queries });
  if (commands.length === 0) return null;
  return (
    <details>
      <summary>How</summary>
      {commands.map(([tool, text]) => (
        <div key={tool}>
          {tool !== "command" && <p class="soft">{tool}</p>}
          <pre class={style.code}>{text}</pre>
        </div>
      ))}
    </details>
  );
}
