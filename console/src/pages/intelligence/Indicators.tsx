/** Lists indicators: what they are signs of, from whom they come, and whether they were seen here. */
import { useState } from "preact/hooks";
import { answered, api } from "../../api/client";
import type { IndicatorSummary } from "../../api/schema";
import { count, percent } from "../../parts/amounts";
import type { Column } from "../../parts/DataTable";
import { FilteredList } from "../../parts/FilteredList";
import { State } from "../../parts/State";
import { Empty } from "../../parts/States";
import { Time } from "../../parts/Time";
import { Known } from "./Known";

const KINDS = [
  "ip",
  "endpoint",
  "cidr",
  "domain",
  "url",
  "md5",
  "sha1",
  "sha256",
  "ja3",
  "ja3s",
  "ja4",
  "hassh",
  "hassh_server",
];
const FACETS = [{ field: "kind", title: "Kind", values: KINDS.map((kind): [string, string] => [kind, kind]) }];
const FIELDS = ["value", "kind", "sources", "threats", "labels", "techniques", "confidence"];

export function Indicators() {
  const [chosen, setChosen] = useState<string | null>(null);
  return (
    <>
      <FilteredList<IndicatorSummary>
        name="indicators"
        order="value"
        ask={(query, signal) => answered(api.GET("/api/v1/indicators", { params: { query }, signal }))}
        facets={FACETS}
        fields={FIELDS}
        find={{ label: "Find a part of a value", filterOf: (word) => `value~${word}`, finds: ["value"] }}
        label="Indicators"
        columns={COLUMNS}
        id={(each) => `${each.kind} ${each.value}`}
        open={(each) => setChosen(each.value)}
        empty={
          <Empty title="There are no such indicators">
            Import a file of STIX, MISP, OTX or CSV, or name folders of them in the settings (detection.intel).
          </Empty>
        }
      />
      {chosen && <Known value={chosen} close={() => setChosen(null)} />}
    </>
  );
}

const COLUMNS: Column<IndicatorSummary>[] = [
  { key: "value", title: "Value", sortable: true, show: (each) => <code title={each.value}>{each.value}</code> },
  { key: "kind", title: "Kind", width: "7rem", show: (each) => each.kind },
  { key: "threats", title: "Sign of", wideOnly: true, show: (each) => [...each.threats, ...each.labels].join(", ") },
  { key: "sources", title: "From", wideOnly: true, show: (each) => each.sources.join(", ") },
  {
    key: "confidence",
    title: "Confidence",
    width: "7rem",
    align: "right",
    sortable: true,
    show: (each) => percent(each.confidence / (each.confidence > 1 ? 100 : 1)),
  },
  {
    key: "valid_until",
    title: "Good until",
    width: "8rem",
    wideOnly: true,
    show: (each) =>
      each.expired ? (
        <State standing="off">expired</State>
      ) : each.valid_until ? (
        <Time at={each.valid_until} />
      ) : (
        "not said"
      ),
  },
  {
    key: "seen",
    title: "Incidents",
    width: "6rem",
    align: "right",
    show: (each) => (each.seen === null ? "–" : count(each.seen)),
  },
];
