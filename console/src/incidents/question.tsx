/** Says what incidents can be asked by. */

import type { Question } from "../parts/address";
import type { Facet } from "../parts/Filters";
import { LEVELS, Severity } from "../parts/Severity";
import { VERDICTS } from "./verdicts";
import { StatusWord, VerdictWord } from "./words";

export const USUAL: Question = { filters: ["status=new|open"], order: "-value" };

export const FACETS: Facet[] = [
  { field: "level", title: "Severity", values: LEVELS.map((level) => [level, <Severity key={level} level={level} />]) },
  {
    field: "status",
    title: "Status",
    values: ["new", "open", "closed"].map((status) => [status, <StatusWord key={status} status={status} />]),
  },
  {
    field: "verdict",
    title: "Verdict",
    values: ["", ...VERDICTS.map((each) => each.verdict as string)].map((verdict) => [
      verdict,
      <VerdictWord key={verdict} verdict={verdict} />,
    ]),
  },
];

export const FIELDS = [
  "assignee", "campaign_id", "categories", "entities", "first_seen", "last_seen", "level", "probability", "raised_at",
  "sensor", "status", "techniques", "title", "value", "verdict",
]; // biome-ignore format: a list of words

const ADDRESS = /^[0-9a-f]*[.:][0-9a-f.:]*$/i;
const TECHNIQUE = /^T\d{1,4}(\.\d{0,3})?$/i;

/** Return the filter that finds a word: an address among hosts, a technique by its identity, all else in titles. */
export function filterOf(word: string): string {
  if (TECHNIQUE.test(word)) return `techniques^${word.toUpperCase()}`;
  if (ADDRESS.test(word)) return `entities^${word}`;
  return `title~${word}`;
}

export const FIND = {
  label: "Find a title, address or technique",
  filterOf,
  finds: ["title", "entities", "techniques"],
};
