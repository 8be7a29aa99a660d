/** Shows rows in columns: sorted, selected, opened and walked through by keys; only those in sight are drawn. */
import { ArrowDown, ArrowUp } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Listed } from "../api/pages";
import { useKeys } from "../keyboard";
import { Button } from "./Button";
import style from "./DataTable.module.css";
import { isNarrow } from "./narrow";
import { Failed, Loading } from "./States";
import { inSight, scrolledTo } from "./window";

export type Column<Row> = {
  /** Names the column, and the field of the API by which it sorts where it is sortable. */
  key: string;
  title: string;
  show: (row: Row) => ComponentChildren;
  /** A width of CSS, such as "7rem"; columns without one share what is left. */
  width?: string;
  align?: "right";
  sortable?: boolean;
  /** Left out on narrow screens. */
  wideOnly?: boolean;
};

type Choice = { ids: ReadonlySet<string>; change: (ids: ReadonlySet<string>) => void };

type Props<Row> = {
  /** Says to screen readers what the table holds. */
  label: string;
  columns: Column<Row>[];
  list: Listed<Row>;
  id: (row: Row) => string;
  /** What is said where there are no rows. */
  empty: ComponentChildren;
  /** A field, with "-" before it for the highest first. */
  order?: string;
  onOrder?: (order: string) => void;
  open?: (row: Row) => void;
  current?: string | undefined;
  onCurrent?: (id: string) => void;
  choice?: Choice;
  /** How many rows came since the list was read, and what shows them. */
  fresh?: { count: number; show: () => void };
  /** j, k, Enter and x work wherever the focus is: for the one table that a page is about. */
  isMain?: boolean;
  /** Leaves out how many rows there are: for excerpts. */
  isFootless?: boolean;
  /** Shown instead of columns on narrow screens. */
  card?: (row: Row) => ComponentChildren;
  /** A height of CSS beyond which the rows scroll within their frame. */
  height?: string;
  /** The height of a row in pixels: all have the same, so that those out of sight need not be drawn. */
  rowHeight?: number;
};

const ROW = 36;
const CARD = 92;
const HEAD = 34;
/** The next page is asked for when this few rows are left below. */
const LEFT = 30;

/** Return rows that are all there as a list. */
export function wholeList<Row>(rows: Row[]): Listed<Row> {
  const nothing = () => undefined;
  return {
    rows,
    hasMore: false,
    isPending: false,
    isReading: false,
    isOld: false,
    error: null,
    more: nothing,
    again: nothing,
  };
}

export function DataTable<Row>(props: Props<Row>) {
  const { list } = props;
  if (list.isPending || (list.isOld && list.rows.length === 0)) return <Loading what={props.label} rows={8} />;
  if (list.error && list.rows.length === 0) return <Failed error={list.error} again={list.again} />;
  if (list.rows.length === 0) return <>{props.empty}</>;
  return <Rows {...props} />;
}

function Rows<Row>(props: Props<Row>) {
  const { list, columns, fresh } = props;
  const frame = useRef<HTMLDivElement>(null);
  const isCards = isNarrow.value && props.card !== undefined;
  const height = isCards ? CARD : (props.rowHeight ?? ROW);
  const sight = useSight(frame, list.rows.length, height, isCards ? 0 : HEAD);
  const walk = useWalk(props, frame, height, isCards ? 0 : HEAD);
  const shown = isCards ? [] : columns.filter((column) => !(isNarrow.value && column.wideOnly));
  const width = Math.max(1, shown.length) + (props.choice ? 1 : 0);
  useEffect(() => {
    if (list.hasMore && sight.end > list.rows.length - LEFT) list.more();
  });
  return (
    <div class={style.outer}>
      {fresh && fresh.count > 0 && (
        <Button kind="main" class={style.fresh} onClick={fresh.show}>
          {fresh.count} new
        </Button>
      )}
      <div ref={frame} class={style.frame} style={{ maxHeight: props.height ?? "none" }} aria-busy={list.isOld}>
        <table
          class={`${style.table} ${isCards ? "" : style.columns}`}
          aria-label={props.label}
          aria-rowcount={list.hasMore ? -1 : list.rows.length + 1}
        >
          {!isCards && <Head {...props} columns={shown} />}
          <Gap height={sight.first * height} width={width} />
          <tbody onKeyDown={walk}>
            {list.rows.slice(sight.first, sight.end).map((row, place) => (
              <OneRow
                key={props.id(row)}
                {...props}
                columns={shown}
                row={row}
                place={sight.first + place}
                rowHeight={height}
              />
            ))}
          </tbody>
          <Gap height={(list.rows.length - sight.end) * height} width={width} />
        </table>
      </div>
      {!props.isFootless && <Foot {...props} />}
    </div>
  );
}

function Gap({ height, width }: { height: number; width: number }) {
  if (height <= 0) return null;
  return (
    <tbody aria-hidden="true">
      <tr>
        <td colSpan={width} style={{ height, padding: 0 }} />
      </tr>
    </tbody>
  );
}

function Head<Row>({ columns, order, onOrder, list, id, choice }: Props<Row>) {
  const isAll = choice !== undefined && list.rows.length > 0 && list.rows.every((row) => choice.ids.has(id(row)));
  return (
    <thead>
      <tr>
        {choice && (
          <th scope="col" class={style.check}>
            <input
              type="checkbox"
              aria-label="Select all that were read"
              checked={isAll}
              onChange={() => choice.change(new Set(isAll ? [] : list.rows.map(id)))}
            />
          </th>
        )}
        {columns.map((column) => (
          <HeadCell key={column.key} column={column} order={order} onOrder={onOrder} />
        ))}
      </tr>
    </thead>
  );
}

type HeadCellProps<Row> = Pick<Props<Row>, "order" | "onOrder"> & { column: Column<Row> };

function HeadCell<Row>({ column, order, onOrder }: HeadCellProps<Row>) {
  const isOf = order?.replace(/^-/, "") === column.key;
  const isDown = isOf && order?.startsWith("-");
  const sorted = isDown ? "descending" : "ascending";
  const Arrow = isDown ? ArrowDown : ArrowUp;
  return (
    <th
      scope="col"
      class={column.align === "right" ? style.right : ""}
      style={{ width: column.width ?? "auto" }}
      aria-sort={isOf ? sorted : undefined}
    >
      {column.sortable && onOrder ? (
        <button type="button" class={style.sort} onClick={() => onOrder(isDown ? column.key : `-${column.key}`)}>
          {column.title}
          <Arrow size={13} aria-hidden="true" class={isOf ? "" : style.unsorted} />
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

type RowProps<Row> = Props<Row> & { row: Row; place: number };

function OneRow<Row>(props: RowProps<Row>) {
  const { row, place, columns, choice, open, card } = props;
  const id = props.id(row);
  const isCurrent = props.current === id;
  const isCards = columns.length === 0;
  return (
    <tr
      class={`${style.row} ${isCurrent ? style.current : ""} ${open ? style.opens : ""}`}
      data-row={id}
      style={{ height: props.rowHeight }}
      aria-rowindex={place + 2}
      aria-current={isCurrent ? "true" : undefined}
      tabIndex={isCurrent || (props.current === undefined && place === 0) ? 0 : -1}
      onFocus={() => props.onCurrent?.(id)}
      onClick={(event) => !isControl(event.target) && open?.(row)}
    >
      {choice && (
        <td class={style.check}>
          <input
            type="checkbox"
            aria-label={`Select row ${place + 1}`}
            checked={choice.ids.has(id)}
            onChange={() => choice.change(toggled(choice.ids, id))}
          />
        </td>
      )}
      {isCards && card ? (
        <td>{card(row)}</td>
      ) : (
        columns.map((column) => (
          <td key={column.key} class={column.align === "right" ? style.right : ""}>
            {column.show(row)}
          </td>
        ))
      )}
    </tr>
  );
}

function Foot<Row>({ list }: Props<Row>) {
  return (
    <p class={style.foot} role="status">
      {list.error ? (
        <>
          The next rows could not be read. <Button onClick={list.more}>Try again</Button>
        </>
      ) : list.hasMore ? (
        `${list.rows.length.toLocaleString("en")} read${list.isReading ? "; reading on" : "; scroll for more"}`
      ) : (
        `${list.rows.length.toLocaleString("en")} in all`
      )}
    </p>
  );
}

function toggled(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(ids);
  if (!next.delete(id)) next.add(id);
  return next;
}

function isControl(target: EventTarget | null): boolean {
  return (target as HTMLElement | null)?.closest("a, button, input, select, summary, label") != null;
}

/** Follow which rows are in sight of their frame. */
function useSight(frame: { current: HTMLDivElement | null }, rows: number, height: number, head: number) {
  const [[top, tall], setPlace] = useState<[number, number]>([0, 1_000]);
  useLayoutEffect(() => {
    const box = frame.current;
    if (!box) return;
    const look = () => setPlace([box.scrollTop, box.clientHeight - head]);
    look();
    const sizes = new ResizeObserver(look);
    sizes.observe(box);
    box.addEventListener("scroll", look, { passive: true });
    return () => {
      sizes.disconnect();
      box.removeEventListener("scroll", look);
    };
  }, [head]);
  return inSight(rows, height, top, tall);
}

/** Walk through rows by keys: from anywhere in the main table of a page, else from within. */
function useWalk<Row>(props: Props<Row>, frame: { current: HTMLDivElement | null }, height: number, head: number) {
  const wanted = useRef<string>();
  const rows = props.list.rows;
  const at = () => rows.findIndex((row) => props.id(row) === props.current);
  const step = (by: number) => {
    const place = Math.min(Math.max(at() + by, 0), rows.length - 1);
    const row = rows[place];
    const box = frame.current;
    if (!row || !box) return;
    box.scrollTop = scrolledTo(place, height, box.scrollTop, box.clientHeight, head);
    wanted.current = props.id(row);
    props.onCurrent?.(props.id(row));
  };
  useEffect(() => {
    const row = [...(frame.current?.querySelectorAll<HTMLElement>("[data-row]") ?? [])].find(
      (each) => each.dataset.row === wanted.current,
    );
    if (!row) return;
    wanted.current = undefined;
    row.focus({ preventScroll: true });
  });
  const enter = (event: KeyboardEvent) => {
    const row = rows[at()];
    if (row && !isControl(event.target)) props.open?.(row);
  };
  const choose = () => {
    const row = rows[at()];
    if (row && props.choice) props.choice.change(toggled(props.choice.ids, props.id(row)));
  };
  const keys = { j: () => step(1), k: () => step(-1), Enter: enter, x: choose };
  useKeys(props.isMain ? keys : {});
  return (event: KeyboardEvent) => {
    const arrows: Record<string, () => void> = { ArrowDown: keys.j, ArrowUp: keys.k };
    const does = arrows[event.key] ?? (props.isMain ? undefined : { Enter: () => enter(event) }[event.key]);
    if (!does) return;
    if (event.key !== "Enter") event.preventDefault();
    does();
  };
}
