/** Lists techniques tactic by tactic, where the screen has no room for the matrix. */

import { type AttackMatrix, type Cell, type Layer, words } from "./matrix";
import style from "./TacticList.module.css";

type Props = {
  tactics: AttackMatrix["tactics"];
  columns: Cell[][];
  layer: Layer;
  select: (id: string) => void;
};

export function TacticList({ tactics, columns, layer, select }: Props) {
  return (
    <div class={style.tactics}>
      {tactics.map(({ tactic, name }, place) => (
        <details key={tactic} open={(columns[place]?.length ?? 0) > 0 && place < 3}>
          <summary>
            {name} <span class="soft">{columns[place]?.length ?? 0}</span>
          </summary>
          <ul>
            {columns[place]?.map((cell) => (
              <li key={cell.technique.id}>
                <button type="button" onClick={() => select(cell.technique.id)}>
                  <span class={style.name}>
                    {cell.technique.id} {cell.technique.name}
                  </span>
                  <span class="soft">{words(cell, layer)}</span>
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </div>
  );
}
