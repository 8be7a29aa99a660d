/** Asks what anybody knows of some values: indicators, the site, ATT&CK, and incidents. */
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAction } from "../../api/acting";
import { answered, api } from "../../api/client";
import type { Enriched } from "../../api/schema";
import { percent } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { Area, Form } from "../../parts/Field";
import { KeyValue } from "../../parts/KeyValue";
import { linesOf } from "../../parts/lines";
import { Panel } from "../../parts/Panel";
import style from "./LookUp.module.css";

export function LookUp() {
  const [found, setFound] = useState<Enriched[]>([]);
  const ask = useAction((values: string[]) => answered(api.POST("/api/v1/enrich", { body: { values } })), {
    after: (answer) => setFound(answer.values),
  });
  return (
    <div class={style.parts}>
      <Panel title="Values">
        <Form send={(given) => void ask.run(linesOf(String(given.get("values"))))}>
          <Area
            name="values"
            label="One a line"
            rows={4}
            hint="Addresses, names, URLs, hashes, fingerprints or techniques"
            required
            problem={ask.problems.values}
          />
          <Button kind="main" type="submit" disabled={ask.isBusy}>
            Look up
          </Button>
        </Form>
      </Panel>
      {found.map((each) => (
        <Panel key={each.value} title={each.value}>
          <KeyValue
            rows={[
              ["Indicators", each.indicators.map(toldOf).join("; ") || "none"],
              ["Of the site", each.asset ? (each.asset.name ?? each.asset.network) : "no"],
              ["Technique", each.technique ?? "no"],
              [
                "Incidents",
                each.incidents.length === 0
                  ? "none"
                  : each.incidents.map((id) => (
                      <Link key={id} class={style.link} href={`/incidents/${encodeURIComponent(id)}`}>
                        {id}
                      </Link>
                    )),
              ],
            ]}
          />
        </Panel>
      ))}
    </div>
  );
}

function toldOf({ indicator, confidence, expired }: Enriched["indicators"][number]): string {
  const signs = [...indicator.about.threats, ...indicator.about.labels].join(", ") || indicator.kind;
  return `${signs} (${indicator.about.sources.join(", ")}; confidence ${percent(confidence > 1 ? confidence / 100 : confidence)}${expired ? "; expired" : ""})`;
}
