/** Searches the flows that are kept: by any column, with the columns that one wants to see. */
import { RotateCw } from "lucide-preact";
import { useMemo, useState } from "preact/hooks";
import { useSearchParams } from "wouter-preact";
import { useFlows } from "../flows/asking";
import { Builder } from "../flows/Builder";
import { ColumnMenu } from "../flows/ColumnMenu";
import { columnNamed, USUAL_FIELDS } from "../flows/columns";
import { Export } from "../flows/Export";
import { FlowSheet } from "../flows/FlowSheet";
import { SPANS, spanFilter } from "../flows/filters";
import { Card, tableColumns } from "../flows/table";
import { type Question, useQuestion } from "../parts/address";
import { Button } from "../parts/Button";
import { DataTable } from "../parts/DataTable";
import { Filters } from "../parts/Filters";
import { Page } from "../parts/Page";
import { Empty } from "../parts/States";
import { TableFrame } from "../parts/TableFrame";
import { Views } from "../parts/Views";
import style from "./Flows.module.css";

const USUAL: Question = { filters: [], order: "-started_at" };
const FACETS = [
  {
    field: "protocol",
    title: "Protocol",
    values: ["tcp", "udp", "icmp"].map((each): [string, string] => [each, each]),
  },
];
const FIND = { label: "Find an address or server name", filterOf: findOf, finds: ["address", "tls_server_name"] };

function findOf(word: string): string {
  return /^[0-9a-f]*[.:][0-9a-f.:]*$/i.test(word) ? `address^${word}` : `tls_server_name~${word}`;
}

export default function Flows() {
  const [question, ask] = useQuestion(USUAL);
  const [parameters, set] = useSearchParams();
  const [now, setNow] = useState(Date.now());
  const span = parameters.get("span") ?? "";
  const fields = useMemo(() => fieldsOf(parameters.get("fields")), [parameters.get("fields")]);
  const filters = [...question.filters, ...spanFilter(span, now)];
  const list = useFlows({ filters, order: question.order }, fields);
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<string>();
  const flow = parameters.get("flow");
  const put = (name: string, value: string, isStep = true) =>
    set(
      (before) => {
        const next = new URLSearchParams(before);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: !isStep },
    );
  const add = (filter: string) =>
    filter && !question.filters.includes(filter) && ask({ filters: [...question.filters, filter] });
  const readAgain = () => {
    setNow(Date.now());
    list.again();
  };
  const choose = (chosen: string[]) => put("fields", chosen.join() === USUAL_FIELDS.join() ? "" : chosen.join());
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
        <SpanChoice span={span} choose={(key) => put("span", key)} />
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
            if (flow) put("flow", id, false);
          }}
          open={(row) => put("flow", row.flow_id, false)}
          choice={{ ids, change: setIds }}
          isMain
          card={(row) => <Card row={row} />}
          height="calc(100vh - 250px)"
          empty={<Nothing isFiltered={filters.length > 0} />}
        />
      </TableFrame>
      {flow && <FlowSheet id={flow} add={add} close={() => put("flow", "", false)} />}
    </Page>
  );
}

function fieldsOf(text: string | null): string[] {
  const known = (text ?? "").split(",").filter((name) => columnNamed(name) && name !== "address");
  return known.length > 0 ? known : USUAL_FIELDS;
}

function SpanChoice({ span, choose }: { span: string; choose: (key: string) => void }) {
  return (
    <select class={style.choice} aria-label="Time" value={span} onChange={(event) => choose(event.currentTarget.value)}>
      <option value="">Any time</option>
      {SPANS.map(({ key, title }) => (
        <option key={key} value={key}>
          {title}
        </option>
      ))}
    </select>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  return isFiltered ? (
    <Empty title="No flow is like that">Remove a filter, or choose a longer time.</Empty>
  ) : (
    <Empty title="No flows yet">They appear as soon as sensors send traffic.</Empty>
  );
}
