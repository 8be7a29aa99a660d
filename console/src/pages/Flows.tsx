/** Searches the flows that are kept: by any column, with the columns that one wants to see. */
import { RotateCw } from "lucide-preact";
import { useMemo, useState } from "preact/hooks";
import { useFlows } from "../flows/asking";
import { Builder } from "../flows/Builder";
import { ColumnMenu } from "../flows/ColumnMenu";
import { USUAL_FIELDS } from "../flows/columns";
import { Export } from "../flows/Export";
import { FlowSheet } from "../flows/FlowSheet";
import { spanFilter } from "../flows/filters";
import { Nothing } from "../flows/Nothing";
import { FACETS, FIND, fieldsOf, USUAL } from "../flows/question";
import { SpanChoice } from "../flows/SpanChoice";
import { Card, tableColumns } from "../flows/table";
import { useQuestion } from "../parts/address";
import { Button } from "../parts/Button";
import { DataTable } from "../parts/DataTable";
import { Filters } from "../parts/Filters";
import { Page } from "../parts/Page";
import { useParameters } from "../parts/parameters";
import { TableFrame } from "../parts/TableFrame";
import { Views } from "../parts/Views";

export default function Flows() {
  const [question, ask] = useQuestion(USUAL);
  const [parameters, put] = useParameters();
  const [now, setNow] = useState(Date.now());
  const span = parameters.get("span") ?? "";
  const fields = useMemo(() => fieldsOf(parameters.get("fields")), [parameters.get("fields")]);
  const filters = [...question.filters, ...spanFilter(span, now)];
  const list = useFlows({ filters, order: question.order }, fields);
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<string>();
  const flow = parameters.get("flow");
  const add = (filter: string) =>
    filter && !question.filters.includes(filter) && ask({ filters: [...question.filters, filter] });
  const readAgain = () => {
    setNow(Date.now());
    list.again();
  };
  const choose = (chosen: string[]) => put({ fields: chosen.join() === USUAL_FIELDS.join() ? null : chosen.join() });
  return (
    <Page
      title="Flows"
      note="Conversations between two hosts, as sensors saw them"
      tools={
        <>
          <Views page="flows" question={{ ...question, fields }} />
          <Export rows={list.rows} chosen={ids} fields={fields} />
        </>
      }
    >
      <Filters
        filters={question.filters}
        change={(changed, isTyped) => ask({ filters: changed }, isTyped)}
        facets={FACETS}
        find={FIND}
      >
        <SpanChoice span={span} choose={(key) => put({ span: key })} />
        <Builder add={add} />
        <ColumnMenu fields={fields} choose={choose} />
        <Button aria-label="Read again" title="Read again" onClick={readAgain}>
          <RotateCw size={14} />
        </Button>
      </Filters>
      <TableFrame>
        <DataTable
          label="Flows"
          columns={tableColumns(fields, add)}
          list={list}
          id={(row) => row.flow_id}
          order={question.order}
          onOrder={(order) => ask({ order })}
          current={current}
          onCurrent={(id) => {
            setCurrent(id);
            if (flow) put({ flow: id }, true);
          }}
          open={(row) => put({ flow: row.flow_id }, true)}
          choice={{ ids, change: setIds }}
          isMain
          card={(row) => <Card row={row} />}
          height="calc(100vh - 250px)"
          empty={<Nothing isFiltered={filters.length > 0} />}
        />
      </TableFrame>
      {flow && <FlowSheet id={flow} add={add} close={() => put({ flow: null }, true)} />}
    </Page>
  );
}
