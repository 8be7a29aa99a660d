/** Asks where the graph begins: around one thing, or with the recent picture. */
import { Button } from "../parts/Button";
import { lookOf } from "../parts/network";
import style from "./Begin.module.css";
import { bareValue } from "./NodeDetail";

const KINDS = ["host", "address", "name", "technique", "incident", "campaign", "indicator"];

type Props = { node: string; begin: (node: string) => void };

export function Begin({ node, begin }: Props) {
  const send = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const value = String(given.get("value")).trim();
    begin(value ? `${given.get("kind")}:${value}` : "");
  };
  return (
    <search>
      <form
        key={node}
        class={style.begin}
        onSubmit={(event) => {
          event.preventDefault();
          send(event.currentTarget);
        }}
      >
        <select name="kind" aria-label="Kind" class={style.control} defaultValue={node.split(":")[0] || "host"}>
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {lookOf(kind).word}
            </option>
          ))}
        </select>
        <input
          type="search"
          name="value"
          class={`${style.control} ${style.value}`}
          aria-label="Begin with"
          placeholder="Address, name or id"
          maxLength={255}
          defaultValue={node ? bareValue(node) : ""}
        />
        <Button type="submit" kind="main">
          Show
        </Button>
        {node && <Button onClick={() => begin("")}>The recent picture</Button>}
      </form>
    </search>
  );
}
