/** Lists hosts: those with the worst open incidents first. */
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useRefresh } from "../api/following";
import { useHosts, useSpan } from "../hosts/asking";
import { Card, COLUMNS, hostPath } from "../hosts/columns";
import { FACETS, FIELDS, FIND, USUAL } from "../hosts/question";
import { useQuestion } from "../parts/address";
import { count } from "../parts/amounts";
import { DataTable } from "../parts/DataTable";
import { Filters } from "../parts/Filters";
import { Page } from "../parts/Page";
import { Empty } from "../parts/States";
import { TableFrame } from "../parts/TableFrame";
import { exact } from "../parts/Time";

export default function Hosts() {
  const [question, ask] = useQuestion(USUAL);
  const list = useHosts(question);
  const [current, setCurrent] = useState<string>();
  const [, go] = useLocation();
  useRefresh(["threat"], ["hosts"]);
  return (
    <Page title="Hosts" note={<Span />}>
      <Filters
        filters={question.filters}
        change={(filters, isTyped) => ask({ filters }, isTyped)}
        facets={FACETS}
        find={FIND}
        fields={FIELDS}
      />
      <TableFrame>
        <DataTable
          label="Hosts"
          columns={COLUMNS}
          list={list}
          id={(row) => row.address}
          order={question.order}
          onOrder={(order) => ask({ order })}
          current={current}
          onCurrent={setCurrent}
          open={(row) => go(hostPath(row.address))}
          isMain
          card={(row) => <Card row={row} />}
          height="calc(100vh - 250px)"
          empty={<Nothing isFiltered={question.filters.length > 0} />}
        />
      </TableFrame>
    </Page>
  );
}

function Span() {
  const { data } = useSpan();
  if (!data) return <>Counted over the last 24 hours of traffic</>;
  const whole = data.is_whole ? "" : ", those with the most traffic and the worst incidents";
  return (
    <>
      {count(data.hosts)} known{whole}; traffic from {exact(data.start)} to {exact(data.end)}
    </>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  return isFiltered ? (
    <Empty title="No host is like that">Remove a filter, or clear them all to see every host.</Empty>
  ) : (
    <Empty title="No hosts yet">They appear as soon as sensors send traffic.</Empty>
  );
}
