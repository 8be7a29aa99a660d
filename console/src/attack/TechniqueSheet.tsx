/** Tells what is known of a technique: its parts, what covers it, and the incidents that name it. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { KeyValue } from "../parts/KeyValue";
import { Severity } from "../parts/Severity";
import { Sheet } from "../parts/Sheet";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import type { AttackMatrix, Technique } from "./matrix";
import style from "./TechniqueSheet.module.css";

type Props = { matrix: AttackMatrix; technique: Technique; select: (id: string) => void; close: () => void };

export function TechniqueSheet({ matrix, technique, select, close }: Props) {
  const { id, name, detectors, proofs, incidents, detections, worst, parent } = technique;
  const tactics = matrix.tactics.filter(({ tactic }) => technique.tactics.includes(tactic)).map((each) => each.name);
  const parts = matrix.techniques.filter((each) => each.parent === id);
  return (
    <Sheet title={`${id} ${name}`} close={close}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class={style.body} tabIndex={0} aria-label="About the technique">
        <KeyValue
          rows={[
            ["Tactics", tactics.join(", ")],
            ["Part of", parent ? <Choice key="parent" id={parent} matrix={matrix} select={select} /> : "–"],
            ["Incidents", incidents],
            ["Detections", detections],
            ["Worst", worst ? <Severity key="worst" level={worst} /> : "not seen"],
            [
              "Description",
              <a key="more" href={`https://attack.mitre.org/techniques/${id.replace(".", "/")}/`} rel="noreferrer">
                at attack.mitre.org
              </a>,
            ],
          ]}
        />
        <h3>Detectors that can name it</h3>
        {detectors.length > 0 ? (
          <ul class={style.words}>
            {detectors.map((each) => (
              <li key={each}>{each.replaceAll("_", " ")}</li>
            ))}
          </ul>
        ) : (
          <p class="soft">
            None{parts.some((each) => each.detectors.length > 0) ? " of its own; some of its sub-techniques have" : ""}.
          </p>
        )}
        <h3>Simulated attacks that prove it</h3>
        <p class={proofs.length ? "" : "soft"}>{proofs.join(", ") || "None."}</p>
        {parts.length > 0 && (
          <>
            <h3>Sub-techniques</h3>
            <ul class={style.parts}>
              {parts.map((each) => (
                <li key={each.id}>
                  <Choice id={each.id} matrix={matrix} select={select} />
                  <span class="soft">
                    {each.detectors.length > 0 ? `${each.detectors.length} detectors` : "no detector"}
                  </span>
                </li>
              ))}
            </ul>
          </>
        )}
        <h3>Incidents that name it</h3>
        <Incidents id={id} />
      </section>
    </Sheet>
  );
}

function Choice({ id, matrix, select }: { id: string; matrix: AttackMatrix; select: (id: string) => void }) {
  const name = matrix.techniques.find((each) => each.id === id)?.name ?? "";
  return (
    <button type="button" class={style.choice} onClick={() => select(id)}>
      {id} {name}
    </button>
  );
}

type Incident = components["schemas"]["IncidentSummary"];
const SHOWN = 10;

function Incidents({ id }: { id: string }) {
  const filter = `techniques^${id}`;
  const asked = useQuery({
    queryKey: ["attack", "incidents", id],
    queryFn: async () => {
      const query = { filter: [filter], order: "-last_seen", limit: SHOWN };
      return (await answered(api.GET("/api/v1/incidents", { params: { query } }))).items as Incident[];
    },
  });
  return (
    <Shown of={asked} what="incidents">
      {(incidents) =>
        incidents.length === 0 ? (
          <p class="soft">None.</p>
        ) : (
          <>
            <ul class={style.incidents}>
              {incidents.map((each) => (
                <li key={each.incident_id}>
                  <Severity level={each.level} />
                  <Link href={`/incidents/${each.incident_id}`} title={each.title}>
                    {each.title}
                  </Link>
                  <Time at={each.last_seen} />
                </li>
              ))}
            </ul>
            <Link href={`/incidents?filter=${encodeURIComponent(filter)}`}>All of them in the list</Link>
          </>
        )
      }
    </Shown>
  );
}
