/** Shows the matrix as a grid that one walks through by arrow keys. */
import { ChevronDown, ChevronRight } from "lucide-preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import style from "./Grid.module.css";
import { type AttackMatrix, type Cell, heat, type Layer, words } from "./matrix";

type Props = {
  tactics: AttackMatrix["tactics"];
  columns: Cell[][];
  layer: Layer;
  open: ReadonlySet<string>;
  fold: (id: string) => void;
  selected: string | null;
  select: (id: string) => void;
};

export function Grid({ tactics, columns, layer, open, fold, selected, select }: Props) {
  const [[row, column], setAt] = useState<[number, number]>([0, 0]);
  const grid = useRef<HTMLTableElement>(null);
  const isMoved = useRef(false);
  useLayoutEffect(() => {
    if (!isMoved.current) return;
    isMoved.current = false;
    grid.current?.querySelector<HTMLElement>(`[data-at="${row},${column}"]`)?.focus();
  }, [row, column]);
  const rows = Math.max(0, ...columns.map((each) => each.length));
  const press = (event: KeyboardEvent) => {
    const cell = columns[column]?.[row];
    if (cell && event.key === "Enter") select(cell.technique.id);
    else if (cell && event.key === " " && cell.parts.length > 0) fold(cell.technique.id);
    else {
      const to = goal(event.key, [row, column], columns);
      if (!to) return;
      isMoved.current = true;
      setAt(to);
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const entry = columns[column]?.[row] ? [row, column] : [0, columns.findIndex((each) => each.length > 0)];
  return (
    <div class={style.frame}>
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the grid of WAI-ARIA, whose rows are those of a table */}
      <table ref={grid} class={style.grid} role="grid" aria-label="ATT&CK matrix" onKeyDown={press}>
        <thead>
          <tr>
            {tactics.map(({ tactic, name }, place) => (
              <th key={tactic} scope="col">
                {name}
                <span class={style.sum}>{columns[place]?.filter((cell) => !cell.isPart).length}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: rows }, (_, place) => (
            <tr key={place}>
              {columns.map((cells, across) => (
                <OneCell
                  key={tactics[across]?.tactic}
                  cell={cells[place]}
                  at={`${place},${across}`}
                  isEntry={entry[0] === place && entry[1] === across}
                  focus={() => setAt([place, across])}
                  {...{ layer, open, fold, selected, select }}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type CellProps = Pick<Props, "layer" | "open" | "fold" | "selected" | "select"> & {
  cell: Cell | undefined;
  at: string;
  isEntry: boolean;
  focus: () => void;
};

function OneCell({ cell, at, isEntry, focus, layer, open, fold, selected, select }: CellProps) {
  if (!cell) return <td class={style.none} />;
  const { technique, parts, isPart } = cell;
  const isOpen = open.has(technique.id) && !isPart;
  const Chevron = isOpen ? ChevronDown : ChevronRight;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid listens to keys
    <td
      class={`${style.cell} ${style[lookOf(cell, layer)]} ${isPart ? style.part : ""}`}
      data-at={at}
      tabIndex={isEntry ? 0 : -1}
      aria-current={selected === technique.id ? "true" : undefined}
      title={`${technique.id} ${technique.name}`}
      onFocus={focus}
      onClick={() => select(technique.id)}
    >
      <div class={style.inside}>
        <span class={style.name}>{isPart ? technique.name.replace(/^.*?: /, "") : technique.name}</span>
        <span class={style.foot}>
          <span class={style.words}>{words(cell, layer)}</span>
          {parts.length > 0 && (
            <button
              type="button"
              class={style.fold}
              tabIndex={-1}
              aria-expanded={isOpen}
              aria-label={`${isOpen ? "Fold" : "Unfold"} the ${parts.length} sub-techniques of ${technique.name}`}
              onClick={(event) => {
                event.stopPropagation();
                fold(technique.id);
              }}
            >
              {parts.length}
              <Chevron size={12} aria-hidden="true" />
            </button>
          )}
        </span>
      </div>
    </td>
  );
}

function lookOf(cell: Cell, layer: Layer): string {
  if (layer === "seen") return `heat${heat(cell.incidents)}`;
  if (layer === "covered") return cell.detectors > 0 ? "covered" : "heat0";
  return cell.detectors > 0 ? "heat0" : "gap";
}

/** Return where a key leads from a cell: to the nearest cell in that direction that holds a technique. */
function goal(key: string, [row, column]: [number, number], columns: Cell[][]): [number, number] | null {
  const last = (columns[column]?.length ?? 0) - 1;
  if (key === "ArrowDown") return row < last ? [row + 1, column] : null;
  if (key === "ArrowUp") return row > 0 ? [row - 1, column] : null;
  if (key === "Home") return [0, column];
  if (key === "End") return [Math.max(last, 0), column];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (!step) return null;
  for (let next = column + step; columns[next] !== undefined; next += step) {
    const length = columns[next]?.length ?? 0;
    if (length > 0) return [Math.min(row, length - 1), next];
  }
  return null;
}
