/** Shows flows as rows with the columns that were chosen, or as cards on narrow screens. */
import type { Column } from "../parts/DataTable";
import { columnNamed, type Flow, isNumber, isTime, titleOf, type Value, written } from "./columns";
import { pivot } from "./filters";
import style from "./table.module.css";

type Add = (filter: string) => void;

const WIDTHS: Record<string, string> = {
  app_protocol: "7rem",
  dns_queries: "14rem",
  duration_ms: "6rem",
  http_hosts: "14rem",
  orig_ip: "9rem",
  protocol: "6rem",
  resp_ip: "9rem",
  resp_port: "5rem",
  tcp_state: "6.5rem",
  tls_server_name: "13rem",
};

export function tableColumns(fields: string[], add: Add): Column<Flow>[] {
  return fields.flatMap((name): Column<Flow>[] => {
    const column = columnNamed(name);
    if (!column) return [];
    const isRight = isNumber(column);
    return [
      {
        key: name,
        title: titleOf(name),
        width: WIDTHS[name] ?? (isTime(name) ? "11rem" : isRight ? "6.5rem" : "10rem"),
        ...(isRight && { align: "right" as const }),
        sortable: column.kind !== null && column.kind !== "texts",
        show: (row) => <Cell name={name} value={row[name]} add={add} />,
      },
    ];
  });
}

function Cell({ name, value, add }: { name: string; value: Value; add: Add }) {
  const text = written(name, value);
  const column = columnNamed(name);
  if (text === "") return <span class="soft">–</span>;
  if (!column || column.kind === null || isTime(name)) return <span title={text}>{text}</span>;
  return (
    <button
      type="button"
      class={style.value}
      tabIndex={-1}
      title={`${text}: only this; with Shift, all but this`}
      onClick={(event) => add(pivot(column, value, event.shiftKey ? "!=" : "="))}
    >
      {text}
    </button>
  );
}

export function Card({ row }: { row: Flow }) {
  const port = row.resp_port === undefined || row.resp_port === null ? "" : `:${row.resp_port}`;
  return (
    <div class={style.card}>
      <strong class={style.line}>
        {written("orig_ip", row.orig_ip)} → {written("resp_ip", row.resp_ip)}
        {port}
      </strong>
      <span class={style.line}>
        {written("app_protocol", row.app_protocol)} {written("tls_server_name", row.tls_server_name)}
      </span>
      <span class={`${style.line} soft`}>
        {written("started_at", row.started_at)} · {written("orig_bytes", row.orig_bytes)} sent ·{" "}
        {written("resp_bytes", row.resp_bytes)} received
      </span>
    </div>
  );
}
