/** Chooses which columns the list of flows shows. */
import { useState } from "preact/hooks";
import { Button } from "../parts/Button";
import { Menu } from "../parts/Filters";
import style from "./ColumnMenu.module.css";
import { COLUMNS, titleOf, USUAL_FIELDS } from "./columns";

type Props = { fields: string[]; choose: (fields: string[]) => void };
const MOST = 20;

export function ColumnMenu({ fields, choose }: Props) {
  const [text, setText] = useState("");
  const part = text.trim().toLowerCase();
  const found = COLUMNS.filter(
    ({ name, meaning }) => name.includes(part.replaceAll(" ", "_")) || meaning.toLowerCase().includes(part),
  );
  const turn = (name: string) =>
    choose(fields.includes(name) ? fields.filter((field) => field !== name) : [...fields, name]);
  return (
    <Menu title={`Columns: ${fields.length}`}>
      <div class={style.menu}>
        <input
          type="search"
          class={style.find}
          aria-label="Find a column"
          placeholder="Find a column"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <ul class={style.list}>
          {found.map(({ name, meaning }) => (
            <li key={name}>
              <label class={style.choice} title={meaning}>
                <input
                  type="checkbox"
                  checked={fields.includes(name)}
                  disabled={fields.length >= MOST && !fields.includes(name)}
                  onChange={() => turn(name)}
                />
                {titleOf(name)}
              </label>
            </li>
          ))}
        </ul>
        <p class="soft">{fields.length >= MOST ? `${MOST} at the most.` : `${found.length} columns`}</p>
        <Button onClick={() => choose(USUAL_FIELDS)}>The usual ones</Button>
      </div>
    </Menu>
  );
}
