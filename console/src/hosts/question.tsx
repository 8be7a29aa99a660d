/** Says what hosts can be asked by. */
import type { Question } from "../parts/address";
import type { Facet } from "../parts/Filters";
import { LEVELS, Severity } from "../parts/Severity";

export const USUAL: Question = { filters: [], order: "-value" };

const levels = () =>
  LEVELS.map((level): [string, preact.JSX.Element] => [level, <Severity key={level} level={level} />]);

export const FACETS: Facet[] = [
  { field: "level", title: "Worst incident", values: levels() },
  { field: "criticality", title: "Criticality", values: levels() },
  {
    field: "place",
    title: "Place",
    values: [
      ["inside", "inside"],
      ["outside", "outside"],
    ],
  },
];

export const FIELDS = ["address", "bytes", "bytes_in", "bytes_out", "criticality", "first_seen", "flows", "incidents",
  "last_seen", "level", "name", "place", "role", "value"]; // biome-ignore format: a list of words

/** Return the filter that finds a word: what looks like an address among addresses, all else among names. */
export function filterOf(word: string): string {
  return /^[0-9a-f]*[.:][0-9a-f.:]*$/i.test(word) ? `address^${word}` : `name~${word}`;
}

export const FIND = { label: "Find an address or name", filterOf, finds: ["address", "name"] };
