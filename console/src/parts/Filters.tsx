/** Chooses which rows a list shows: by a word, by values of fields, by any comparison that the API knows. */
import { ChevronDown, Search, X } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "../keyboard";
import { alternatives, comparison, withAlternatives } from "./address";
import style from "./Filters.module.css";

export type Facet = { field: string; title: string; values: [string, ComponentChildren][] };

type Props = {
  filters: string[];
  change: (filters: string[], isTyped?: boolean) => void;
  facets: Facet[];
  /** What the text field finds, and the filter that finds a word; its fields are told from others by `finds`. */
  find?: { label: string; filterOf: (word: string) => string; finds: string[] };
  /** Fields that any comparison may be made with. */
  fields: string[];
  children?: ComponentChildren;
};

export function Filters({ filters, change, facets, find, fields, children }: Props) {
  const isFound = (filter: string) => {
    const each = comparison(filter);
    return !!each && !!find && find.finds.includes(each.field) && each.operator !== "=";
  };
  const isFacet = (filter: string) => {
    const each = comparison(filter);
    return each?.operator === "=" && facets.some((facet) => facet.field === each.field);
  };
  const rest = filters.filter((filter) => !isFound(filter) && !isFacet(filter));
  const found = filters.find(isFound);
  return (
    <search class={style.filters}>
      {find && (
        <Find
          label={find.label}
          word={found ? (comparison(found)?.value ?? "") : ""}
          ask={(word) =>
            change([...filters.filter((each) => each !== found), ...(word ? [find.filterOf(word)] : [])], true)
          }
        />
      )}
      {facets.map((facet) => (
        <FacetMenu key={facet.field} facet={facet} filters={filters} change={change} />
      ))}
      <Custom fields={fields} add={(filter) => change([...filters, filter])} />
      {rest.map((filter) => (
        <Chip key={filter} filter={filter} remove={() => change(filters.filter((each) => each !== filter))} />
      ))}
      {filters.length > 0 && (
        <button type="button" class={style.clear} onClick={() => change([])}>
          Clear
        </button>
      )}
      {children}
    </search>
  );
}

/** What is typed is asked for after a rest, so that not each letter is a question. */
const REST_MS = 180;

function Find({ label, word, ask }: { label: string; word: string; ask: (word: string) => void }) {
  const [typed, setTyped] = useState(word);
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef(0);
  useEffect(() => setTyped(word), [word]);
  useKeys({
    "/": (event) => {
      event.preventDefault();
      field.current?.focus();
    },
  });
  const type = (text: string, rest = REST_MS) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => text.trim() !== word && ask(text.trim()), rest);
  };
  return (
    <label class={style.find}>
      <Search size={15} aria-hidden="true" />
      <input
        ref={field}
        type="search"
        aria-label={label}
        placeholder={label}
        maxLength={200}
        value={typed}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") type(typed, 0);
          if (event.key === "Escape") field.current?.blur();
        }}
      />
      <span class={style.key} aria-hidden="true">
        /
      </span>
    </label>
  );
}

function FacetMenu({ facet, filters, change }: { facet: Facet } & Pick<Props, "filters" | "change">) {
  const chosen = alternatives(filters, facet.field);
  const titles = facet.values.filter(([value]) => chosen.includes(value)).map(([value]) => value || "none");
  const words = titles.join(", ").replaceAll("_", " ");
  const turn = (value: string) =>
    chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value];
  return (
    <Menu title={facet.title} words={words}>
      {facet.values.map(([value, shown]) => (
        <label key={value} class={style.choice}>
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={() => change(withAlternatives(filters, facet.field, turn(value)))}
          />
          {shown}
        </label>
      ))}
    </Menu>
  );
}

type MenuProps = { title: string; words?: string; children: ComponentChildren };

/** Opens below its button; Escape and whatever happens outside close it. */
function Menu({ title, words, children }: MenuProps) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => menu.current?.removeAttribute("open");
  useEffect(() => {
    const outside = (event: Event) => {
      if (!menu.current?.contains(event.target as Node)) close();
    };
    addEventListener("pointerdown", outside);
    addEventListener("focusin", outside);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("focusin", outside);
    };
  }, []);
  const leave = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    close();
    menu.current?.querySelector("summary")?.focus();
  };
  return (
    <details ref={menu} class={style.menu} onKeyDown={leave}>
      <summary class={words ? style.chosen : ""}>
        <span class={style.words}>{words ? `${title}: ${words}` : title}</span>{" "}
        <ChevronDown size={14} aria-hidden="true" />
      </summary>
      <div class={style.sheet}>{children}</div>
    </details>
  );
}

const OPERATORS: [string, string][] = [
  ["=", "is"],
  ["!=", "is not"],
  ["~", "contains"],
  ["^", "begins with"],
  [">=", "at least"],
  ["<=", "at most"],
];

function Custom({ fields, add }: { fields: string[]; add: (filter: string) => void }) {
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    add(`${given.get("field")}${given.get("operator")}${given.get("value")}`);
    form.closest("details")?.removeAttribute("open");
  };
  return (
    <Menu title="Add filter">
      <form class={style.custom} onSubmit={(event) => send(event as unknown as SubmitEvent)}>
        <select name="field" aria-label="Field">
          {fields.map((field) => (
            <option key={field} value={field}>
              {field.replaceAll("_", " ")}
            </option>
          ))}
        </select>
        <select name="operator" aria-label="Comparison">
          {OPERATORS.map(([operator, words]) => (
            <option key={operator} value={operator}>
              {words}
            </option>
          ))}
        </select>
        <input name="value" aria-label="Value" placeholder="Value" maxLength={500} />
        <button type="submit">Add</button>
      </form>
    </Menu>
  );
}

function Chip({ filter, remove }: { filter: string; remove: () => void }) {
  const told = comparison(filter);
  const words = OPERATORS.find(([operator]) => operator === told?.operator)?.[1] ?? told?.operator;
  const text = told ? `${told.field.replaceAll("_", " ")} ${words} ${told.value || "nothing"}` : filter;
  return (
    <button type="button" class={style.chip} onClick={remove} aria-label={`Remove the filter: ${text}`} title={text}>
      <span class={style.words}>{text}</span> <X size={13} aria-hidden="true" />
    </button>
  );
}
