/** Shows an incident: what happened, to whom, how sure that is, and what to do. */
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { type Detail, storyOf, useIncident } from "../incident/asking";
import { Certainty } from "../incident/Certainty";
import { Evidence } from "../incident/Evidence";
import { Head } from "../incident/Head";
import { History } from "../incident/History";
import { Hosts } from "../incident/Hosts";
import { Packets } from "../incident/Packets";
import { Picture } from "../incident/Picture";
import { Response } from "../incident/Response";
import { Sections } from "../incident/Sections";
import { Similar } from "../incident/Similar";
import { Techniques } from "../incident/Techniques";
import { Telling } from "../incident/Telling";
import { Timeline } from "../incident/Timeline";
import { VerdictPanel } from "../incident/VerdictPanel";
import { neighboursOf } from "../incidents/asking";
import { useKeys } from "../keyboard";
import { Page } from "../parts/Page";
import { Shown } from "../parts/States";
import style from "./Incident.module.css";

const PARTS = [
  { id: "what", title: "What happened" },
  { id: "do", title: "What to do" },
  { id: "when", title: "When" },
  { id: "graph", title: "Graph" },
  { id: "evidence", title: "Evidence" },
  { id: "packets", title: "Packets" },
];

export default function Incident({ params }: { params: { id: string } }) {
  useNext(params.id);
  const asked = useIncident(params.id);
  const shown = (
    <Shown of={asked} what="the incident">
      {(detail) => <Whole detail={detail} />}
    </Shown>
  );
  return asked.data ? shown : <Page title="Incident">{shown}</Page>;
}

function Whole({ detail }: { detail: Detail }) {
  const incident = detail.summary;
  const story = storyOf(detail);
  const id = incident.incident_id;
  useEffect(() => {
    document.title = `${incident.title} · InfraSpectre`;
  }, [incident.title]);
  return (
    <div class={style.page}>
      <Head incident={incident} story={story} />
      <Sections parts={PARTS} />
      <div class={style.columns}>
        <div id="what" class={style.what}>
          <Telling id={id} story={story} />
        </div>
        <div class={style.side}>
          <VerdictPanel incident={incident} />
          <Hosts story={story} />
          <Certainty story={story} />
          <Techniques story={story} />
          <Similar id={id} />
          <History id={id} />
        </div>
        <div class={style.main}>
          <div id="do">
            <Response id={id} />
          </div>
          <div id="when">
            <Timeline id={id} />
          </div>
          <div id="graph">
            <Picture id={id} />
          </div>
          <div id="evidence">
            <Evidence id={id} />
          </div>
          <div id="packets">
            <Packets id={id} />
          </div>
        </div>
      </div>
    </div>
  );
}

/** Go on to the next or the previous incident of the list by j and k. */
function useNext(id: string): void {
  const client = useQueryClient();
  const [, go] = useLocation();
  const step = (to: string | null) => to && go(`/incidents/${to}`);
  useKeys({ j: () => step(neighboursOf(client, id).after), k: () => step(neighboursOf(client, id).before) });
}
