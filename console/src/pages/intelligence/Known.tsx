/** Shows all that is known of a value: indicators, reports, and incidents in which it takes part. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { answered, api } from "../../api/client";
import type { IndicatorDetail, IndicatorSummary } from "../../api/schema";
import { Button } from "../../parts/Button";
import { Dialog } from "../../parts/Dialog";
import { KeyValue } from "../../parts/KeyValue";
import { Shown } from "../../parts/States";
import { exact } from "../../parts/Time";
import style from "./Known.module.css";

export function Known({ value, close }: { value: string; close: () => void }) {
  const known = useQuery({
    queryKey: ["indicators", value],
    queryFn: () => answered(api.GET("/api/v1/indicators/{value}", { params: { path: { value } } })),
  });
  return (
    <Dialog title={value} close={close} isWide>
      <div class={style.parts}>
        <Shown of={known} what="what is known">
          {(found) => <Parts found={found} />}
        </Shown>
        <Button onClick={close}>Close</Button>
      </div>
    </Dialog>
  );
}

function Parts({ found }: { found: IndicatorDetail }) {
  return (
    <>
      {found.indicators.map((each) => (
        <KeyValue key={each.kind} rows={rowsOf(each)} />
      ))}
      <h3>Incidents here</h3>
      {found.incidents.length === 0 && <p class="soft">It takes part in none.</p>}
      <ul class={style.list}>
        {found.incidents.map((id) => (
          <li key={id}>
            <Link href={`/incidents/${encodeURIComponent(id)}`}>{id}</Link>
          </li>
        ))}
      </ul>
      {found.reports.length > 0 && (
        <>
          <h3>Reports</h3>
          <ul class={style.list}>
            {found.reports.map((report) => (
              <li key={report.report_id}>{report.title}</li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function rowsOf(each: IndicatorSummary): [string, string][] {
  return [
    ["Kind", each.kind],
    ["From", each.sources.join(", ")],
    ["Sign of", [...each.threats, ...each.labels].join(", ") || "not said"],
    ["Techniques", each.techniques.join(", ") || "not said"],
    ["First seen elsewhere", each.first_seen ? exact(each.first_seen) : "not said"],
    ["Last seen elsewhere", each.last_seen ? exact(each.last_seen) : "not said"],
    ["Good until", each.valid_until ? exact(each.valid_until) : "not said"],
    ["May be shared", each.tlp || "not said"],
    ["Beware", each.warning || "nothing"],
  ];
}
