/** Shows what needs attention now: the worst that is not closed, and what grave incidents nobody has taken. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { page } from "../incidents/asking";
import { Card, columnsOf } from "../incidents/columns";
import { DataTable, wholeList } from "../parts/DataTable";
import { Panel } from "../parts/Panel";
import { Empty, Shown } from "../parts/States";
import { KEY } from "./asking";

const SHOWN = 7;
/** What all rows have in common, or what the page of the incident tells, is left out. */
const COLUMNS = columnsOf(null).filter((column) => !["entities", "verdict"].includes(column.key));
const OPEN = { filters: ["status=new|open"], order: "-value" };
const ORPHANS = ["status=new|open", "level=critical|high", "assignee="];

export function Attention() {
  const [, go] = useLocation();
  const [current, setCurrent] = useState<string>();
  const asked = useQuery({
    queryKey: [KEY, "attention"],
    queryFn: ({ signal }) => page(OPEN, SHOWN, undefined, signal),
  });
  return (
    <Panel
      title="Needs attention"
      note="the worst that is not closed"
      tools={
        <>
          <Orphans />
          <Link href="/incidents">All open incidents</Link>
        </>
      }
    >
      <Shown of={asked} what="the worst open incidents">
        {({ items }) => (
          <DataTable
            label="The worst open incidents"
            columns={COLUMNS}
            list={wholeList(items)}
            id={(row) => row.incident_id}
            open={(row) => go(`/incidents/${row.incident_id}`)}
            current={current}
            onCurrent={setCurrent}
            isMain
            isFootless
            rowHeight={50}
            card={(row) => <Card row={row} mark={null} />}
            empty={<Empty title="Nothing is open">No incident waits for anybody.</Empty>}
          />
        )}
      </Shown>
    </Panel>
  );
}

/** More than these are told as so many and more. */
const MOST = 100;

function Orphans() {
  const { data } = useQuery({
    queryKey: [KEY, "orphans"],
    queryFn: ({ signal }) => page({ filters: ORPHANS, order: "-value" }, MOST, undefined, signal),
  });
  if (!data?.items.length) return null;
  const address = new URLSearchParams([...ORPHANS.map((each) => ["filter", each]), ["order", "-value"]]);
  return (
    <Link href={`/incidents?${address}`}>
      {data.items.length}
      {data.next && "+"} grave without an assignee
    </Link>
  );
}
