/** Builds a filter: a column that is found by its name, how it is compared, and with what. */
import { useState } from "preact/hooks";
import { Button } from "../parts/Button";
import { Field, Form, Select } from "../parts/Field";
import { Menu } from "../parts/Filters";
import style from "./Builder.module.css";
import { ADDRESS, COLUMNS, columnNamed, type FlowColumn, isTime } from "./columns";
import { filterOf, operatorsOf } from "./filters";

const COMPARED = [ADDRESS, ...COLUMNS.filter((column) => column.kind !== null)];

export function Builder({ add }: { add: (filter: string) => void }) {
  const [name, setName] = useState("address");
  const [problem, setProblem] = useState<string>();
  const column = columnNamed(name);
  const isKnown = column !== undefined && column.kind !== null;
  const send = (given: FormData) => {
    if (!isKnown) return;
    const made = filterOf(column, String(given.get("operator")), String(given.get("value")));
    setProblem("problem" in made ? made.problem : undefined);
    if ("filter" in made) add(made.filter);
  };
  return (
    <Menu title="Add filter">
      <div class={style.builder}>
        <Form send={send}>
          <Field
            label="Column"
            name="column"
            list="flow-columns"
            value={name}
            autoComplete="off"
            onInput={(event) => setName(event.currentTarget.value.trim())}
            hint={column?.meaning ?? "Type a part of its name and choose."}
            problem={isKnown || name === "" ? undefined : "No column that can be compared has this name."}
          />
          <datalist id="flow-columns">
            {COMPARED.map((each) => (
              <option key={each.name} value={each.name}>
                {each.meaning}
              </option>
            ))}
          </datalist>
          <Select label="Comparison" name="operator" options={column ? operatorsOf(column) : []} />
          <ValueField key={name} column={column} problem={problem} />
          <Button kind="main" type="submit" disabled={!isKnown}>
            Add
          </Button>
        </Form>
      </div>
    </Menu>
  );
}

function ValueField({ column, problem }: { column: FlowColumn | undefined; problem: string | undefined }) {
  if (column && isTime(column.name))
    return <Field label="Value (UTC)" name="value" type="datetime-local" step="1" required problem={problem} />;
  return <Field label="Value" name="value" maxLength={500} hint={hintOf(column)} problem={problem} />;
}

function hintOf(column: FlowColumn | undefined): string {
  if (column?.kind === "text" || column?.kind === "texts") return "Several values stand between |; empty for none.";
  return column?.unit ? `In ${column.unit}; 1.5 MB is understood, too.` : "Several values stand between |.";
}
