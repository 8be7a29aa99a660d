/** Lists threat reports with whom they speak of. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answered, api } from "../../api/client";
import { usePages } from "../../api/pages";
import type { ReportSummary } from "../../api/schema";
import { count } from "../../parts/amounts";
import { Button } from "../../parts/Button";
import { type Column, DataTable } from "../../parts/DataTable";
import { Dialog } from "../../parts/Dialog";
import { Rows, type Column as ShortColumn } from "../../parts/Rows";
import { Empty, Shown } from "../../parts/States";
import { TableFrame } from "../../parts/TableFrame";

const PAGE = 100;

export function Reports() {
  const [chosen, setChosen] = useState<ReportSummary | null>(null);
  const list = usePages(["threat-reports"], async (after, signal) => {
    const query = { limit: PAGE, ...(after && { after }) };
    const page = await answered(api.GET("/api/v1/threat-reports", { params: { query }, signal }));
    return { ...page, items: page.items as ReportSummary[] };
  });
  return (
    <>
      <TableFrame>
        <DataTable
          label="Threat reports"
          columns={COLUMNS}
          list={list}
          id={(each) => each.report_id}
          open={setChosen}
          isMain
          empty={
            <Empty title="There are no reports">They come with STIX bundles and MISP events that you import.</Empty>
          }
        />
      </TableFrame>
      {chosen && <Report report={chosen} close={() => setChosen(null)} />}
    </>
  );
}

const COLUMNS: Column<ReportSummary>[] = [
  { key: "published", title: "Published", width: "8rem", show: (each) => each.published?.slice(0, 10) ?? "not said" },
  { key: "title", title: "Title", show: (each) => <span title={each.title}>{each.title}</span> },
  { key: "actors", title: "Actors", wideOnly: true, show: (each) => each.actors.join(", ") },
  { key: "malware", title: "Malware", wideOnly: true, show: (each) => each.malware.join(", ") },
  {
    key: "indicator_count",
    title: "Indicators",
    width: "7rem",
    align: "right",
    show: (each) => count(each.indicator_count),
  },
];

type Named = { kind: string; value: string; seen: number | null };
const NAMED: ShortColumn<Named>[] = [
  { title: "Kind", show: (each) => each.kind },
  { title: "Value", show: (each) => <code>{each.value}</code> },
  { title: "Incidents here", align: "right", show: (each) => (each.seen === null ? "–" : count(each.seen)) },
];

function Report({ report, close }: { report: ReportSummary; close: () => void }) {
  const whole = useQuery({
    queryKey: ["threat-reports", report.report_id],
    queryFn: () =>
      answered(api.GET("/api/v1/threat-reports/{report_id}", { params: { path: { report_id: report.report_id } } })),
  });
  return (
    <Dialog title={report.title} close={close} isWide>
      <Shown of={whole} what="the report">
        {(found) => (
          <Rows
            caption="Indicators of the report"
            rows={found.indicators}
            columns={NAMED}
            keyOf={(each) => `${each.kind} ${each.value}`}
            empty="It names no indicators"
          />
        )}
      </Shown>
      <Button onClick={close}>Close</Button>
    </Dialog>
  );
}
