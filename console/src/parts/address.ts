/** Keeps what a list is asked for in the address of the page, so that it can be sent and gone back to. */
import { useMemo } from "preact/hooks";
import { useSearchParams } from "wouter-preact";

/** What a list is asked for, as the API writes it. */
export type Question = { filters: string[]; order: string };

export type Comparison = { field: string; operator: string; value: string };

const WRITTEN = /^ *([a-z_0-9]+) *(!=|<=|>=|=|<|>|~|\^) *([\s\S]*)$/;

/** Return the parts of a filter, or null for what is none. */
export function comparison(filter: string): Comparison | null {
  const [, field, operator, value] = WRITTEN.exec(filter) ?? [];
  return field && operator ? { field, operator, value: value ?? "" } : null;
}

/** Return the alternatives that a filter `field=a|b` lets through; none where there is no such filter. */
export function alternatives(filters: string[], field: string): string[] {
  const found = filters.map(comparison).find((each) => each?.field === field && each.operator === "=");
  return found ? found.value.split("|") : [];
}

/** Return filters of which a field has to be one of some values; none of them lets all through. */
export function withAlternatives(filters: string[], field: string, values: string[]): string[] {
  const others = filters.filter((filter) => {
    const each = comparison(filter);
    return !(each?.field === field && each.operator === "=");
  });
  return values.length ? [...others, `${field}=${values.join("|")}`] : others;
}

/** Return the question in the address, and what writes another there; what is typed replaces, all else adds a step. */
export function useQuestion(usual: Question): [Question, (change: Partial<Question>, isTyped?: boolean) => void] {
  const [parameters, set] = useSearchParams();
  const isAsked = parameters.has("filter") || parameters.has("order");
  const written = JSON.stringify([parameters.getAll("filter"), parameters.get("order")]);
  const question = useMemo(
    () => (isAsked ? { filters: parameters.getAll("filter"), order: parameters.get("order") || usual.order } : usual),
    [written],
  );
  const change = (part: Partial<Question>, isTyped = false) => {
    const next = { ...question, ...part };
    set((before) => addressOf(before, next), { replace: isTyped });
  };
  return [question, change];
}

function addressOf(before: URLSearchParams, question: Question): URLSearchParams {
  const next = new URLSearchParams(before);
  next.delete("filter");
  for (const filter of question.filters) next.append("filter", filter);
  next.set("order", question.order);
  return next;
}
