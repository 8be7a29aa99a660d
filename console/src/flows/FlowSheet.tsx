/** Shows all that is known of a flow, by groups of columns, each value ready to filter by. */
import { Equal, EqualNot } from "lucide-preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { hostPath } from "../hosts/columns";
import { Button } from "../parts/Button";
import { Sheet } from "../parts/Sheet";
import { Shown } from "../parts/States";
import { useFlow } from "./asking";
import { COLUMNS, type Flow, type FlowColumn, titleOf, written } from "./columns";
import style from "./FlowSheet.module.css";
import { pivot } from "./filters";

type Props = { id: string; add: (filter: string) => void; close: () => void };

export function FlowSheet({ id, add, close }: Props) {
  const asked = useFlow(id);
  const [text, setText] = useState("");
  return (
    <Sheet title={`Flow ${id}`} close={close}>
      <div class={style.head}>
        <input
          type="search"
          class={style.find}
          aria-label="Find a column or value"
          placeholder="Find a column or value"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <p class="soft">Packets are on the pages of incidents, where sensors keep them in a ring.</p>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class={style.body} tabIndex={0} aria-label="Columns of the flow">
        <Shown of={asked} what="the flow">
          {(flow) => <Groups flow={flow} text={text} add={add} />}
        </Shown>
      </section>
    </Sheet>
  );
}

function Groups({ flow, text, add }: { flow: Flow; text: string; add: (filter: string) => void }) {
  const found = COLUMNS.filter((column) => fits(column, flow, text.trim().toLowerCase()));
  const groups = [...new Set(found.map((column) => column.group))];
  if (found.length === 0) return <p class="soft">Nothing in this flow is like that.</p>;
  return (
    <>
      {groups.map((group) => (
        <section key={group} class={style.group}>
          <h3>{group.charAt(0).toUpperCase() + group.slice(1)}</h3>
          <dl>
            {found
              .filter((column) => column.group === group)
              .map((column) => (
                <Line key={column.name} column={column} flow={flow} add={add} />
              ))}
          </dl>
        </section>
      ))}
    </>
  );
}

function fits({ name, meaning }: FlowColumn, flow: Flow, part: string): boolean {
  const text = written(name, flow[name]);
  if (text === "") return false;
  return [titleOf(name), name, meaning, text].some((each) => each.toLowerCase().includes(part));
}

function Line({ column, flow, add }: { column: FlowColumn; flow: Flow; add: (filter: string) => void }) {
  const value = flow[column.name];
  const text = written(column.name, value);
  const title = titleOf(column.name);
  const isHost = column.name === "orig_ip" || column.name === "resp_ip";
  return (
    <div class={style.line}>
      <dt title={column.meaning}>{title}</dt>
      <dd title={text}>{isHost ? <Link href={hostPath(text)}>{text}</Link> : text}</dd>
      {column.kind !== null && (
        <dd class={style.pivots}>
          <Button
            kind="quiet"
            aria-label={`Only flows with this: ${title}`}
            title="Only flows with this"
            onClick={() => add(pivot(column, value, "="))}
          >
            <Equal size={13} />
          </Button>
          <Button
            kind="quiet"
            aria-label={`Only flows without this: ${title}`}
            title="Only flows without this"
            onClick={() => add(pivot(column, value, "!="))}
          >
            <EqualNot size={13} />
          </Button>
        </dd>
      )}
    </div>
  );
}
