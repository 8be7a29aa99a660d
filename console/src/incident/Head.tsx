/** Begins the page of an incident: how grave, what, how far it is worked on, and what to take away. */
import { useQueryClient } from "@tanstack/preact-query";
import { Link2 } from "lucide-preact";
import { Link } from "wouter-preact";
import { answered, api } from "../api/client";
import { may, principal } from "../api/session";
import { change, type Incident, type Status } from "../incidents/asking";
import { VerdictWord } from "../incidents/words";
import { percent } from "../parts/amounts";
import { Button } from "../parts/Button";
import { Score } from "../parts/Score";
import { Severity } from "../parts/Severity";
import { Time } from "../parts/Time";
import { tell } from "../parts/tell";
import { KEY, type Story } from "./asking";
import style from "./Head.module.css";
import { ReportButtons } from "./ReportButtons";

export function Head({ incident, story }: { incident: Incident; story: Story }) {
  return (
    <header class={style.head}>
      <p class={style.way}>
        <Link href="/incidents">Incidents</Link> <span class="soft even">{incident.incident_id}</span>
      </p>
      <div class={style.first}>
        <Severity level={incident.level} />
        <h1>{incident.title}</h1>
        <div class={style.tools}>
          <Button onClick={copyAddress} title="Copy the address of this page">
            <Link2 size={15} aria-hidden="true" /> Copy link
          </Button>
          <ReportButtons id={incident.incident_id} />
        </div>
      </div>
      {story.merged_into && (
        <p>
          This incident became part of <Link href={`/incidents/${story.merged_into}`}>another one</Link>.
        </p>
      )}
      <Facts incident={incident} />
    </header>
  );
}

function copyAddress() {
  void navigator.clipboard.writeText(location.href).then(
    () => tell("The link was copied"),
    () => tell("The browser does not let the link be copied", "failed"),
  );
}

function Facts({ incident }: { incident: Incident }) {
  return (
    <dl class={style.facts}>
      <Fact name="Threat score">
        <Score {...incident} />{" "}
        <span class="soft">
          {incident.low.toFixed(0)} to {incident.high.toFixed(0)}
        </span>
      </Fact>
      <Fact name="Probability">
        <strong>{percent(incident.probability)}</strong> <span class="soft">an attack</span>
      </Fact>
      <Fact name="Verdict">
        <VerdictWord verdict={incident.verdict} />
      </Fact>
      <Fact name="Status">
        <StatusChoice incident={incident} />
      </Fact>
      <Fact name="Assignee">
        <Assignee incident={incident} />
      </Fact>
      <Fact name="First seen">
        <Time at={incident.first_seen} />
      </Fact>
      <Fact name="Last seen">
        <Time at={incident.last_seen} />
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Return what changes the status or the assignee, and says so. */
function useChange(id: string) {
  const client = useQueryClient();
  return async (part: { status?: Status; assignee?: string }) => {
    const operation = part.status === undefined ? ("assign" as const) : ("update_status" as const);
    const body = { operation, incident_ids: [id], parameters: { ...part, comment: "" } };
    try {
      await answered(api.POST("/api/v1/incidents/bulk-operations", { body }));
      change(client, id, part);
    } catch (error) {
      tell(`Nothing was changed: ${(error as Error).message}`, "failed");
    }
    void client.invalidateQueries({ queryKey: [KEY, id], exact: true });
  };
}

const STATUSES: Status[] = ["new", "open", "closed"];

function StatusChoice({ incident }: { incident: Incident }) {
  const send = useChange(incident.incident_id);
  if (!may("analyst")) return <>{incident.status}</>;
  return (
    <select
      class={style.choice}
      aria-label="Status"
      value={incident.status}
      onChange={(event) => void send({ status: event.currentTarget.value as Status })}
    >
      {STATUSES.map((status) => (
        <option key={status} value={status}>
          {status}
        </option>
      ))}
    </select>
  );
}

function Assignee({ incident }: { incident: Incident }) {
  const send = useChange(incident.incident_id);
  const me = principal.value?.subject ?? "";
  const isMine = incident.assignee === me;
  return (
    <>
      {incident.assignee || <span class="soft">nobody</span>}{" "}
      {may("analyst") && (
        <button type="button" class={style.small} onClick={() => void send({ assignee: isMine ? "" : me })}>
          {isMine ? "Give up" : "Take it"}
        </button>
      )}
    </>
  );
}
