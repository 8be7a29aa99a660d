/** Ranks incidents: what to look at first, and a verdict in three keys. */
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { may } from "../api/session";
import { useIncidents } from "../incidents/asking";
import { Bulk } from "../incidents/Bulk";
import { Card, columnsOf } from "../incidents/columns";
import { Nothing } from "../incidents/Nothing";
import { FACETS, FIELDS, FIND, USUAL } from "../incidents/question";
import { useTriage } from "../incidents/triage";
import { useQuestion } from "../parts/address";
import { DataTable } from "../parts/DataTable";
import { Filters } from "../parts/Filters";
import { Page } from "../parts/Page";
import { Views } from "../parts/Views";
import style from "./Incidents.module.css";

export default function Incidents() {
  const [question, ask] = useQuestion(USUAL);
  const { list, fresh } = useIncidents(question);
  const triage = useTriage(list.rows);
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [, go] = useLocation();
  const mark = triage.mark;
  return (
    <Page title="Incidents" tools={<Views page="incidents" question={question} />}>
      <Filters
        filters={question.filters}
        change={(filters, isTyped) => ask({ filters }, isTyped)}
        facets={FACETS}
        find={FIND}
        fields={FIELDS}
      />
      <div class={style.list}>
        <DataTable
          label="Incidents"
          columns={columnsOf(mark)}
          list={list}
          id={(row) => row.incident_id}
          order={question.order}
          onOrder={(order) => ask({ order })}
          current={triage.current}
          onCurrent={triage.setCurrent}
          open={(row) => triage.give() || go(`/incidents/${row.incident_id}`)}
          {...(may("analyst") && { choice: { ids, change: setIds } })}
          fresh={fresh}
          isMain
          rowHeight={50}
          card={(row) => <Card row={row} mark={mark} />}
          height="calc(100vh - 232px)"
          empty={<Nothing filters={question.filters} />}
        />
      </div>
      {ids.size > 0 && <Bulk ids={ids} clear={() => setIds(new Set())} />}
    </Page>
  );
}
