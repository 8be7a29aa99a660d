/** Takes along the flows that were read, or those of them that were selected. */
import { Download } from "lucide-preact";
import { count } from "../parts/amounts";
import { Button } from "../parts/Button";
import { Menu } from "../parts/Filters";
import { keepFile } from "../parts/files";
import type { Flow } from "./columns";
import style from "./Export.module.css";
import { csv, jsonLines } from "./writing";

type Props = { rows: Flow[]; chosen: ReadonlySet<string>; fields: string[] };

export function Export({ rows, chosen, fields }: Props) {
  const selected = rows.filter((row) => chosen.has(row.flow_id));
  const taken = selected.length > 0 ? selected : rows;
  const what = selected.length > 0 ? "selected" : "read so far";
  return (
    <Menu title="Export">
      <div class={style.menu}>
        <p class="soft">
          {count(taken.length)} flows, {what}, with the columns that are shown.
        </p>
        <Button disabled={taken.length === 0} onClick={() => keepFile("flows.csv", "text/csv", csv(taken, fields))}>
          <Download size={14} aria-hidden="true" /> CSV
        </Button>
        <Button
          disabled={taken.length === 0}
          onClick={() => keepFile("flows.jsonl", "application/x-ndjson", jsonLines(taken))}
        >
          <Download size={14} aria-hidden="true" /> JSON lines
        </Button>
      </div>
    </Menu>
  );
}
