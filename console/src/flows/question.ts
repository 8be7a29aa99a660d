/** Says what flows can be asked by. */
import type { Question } from "../parts/address";
import type { Facet } from "../parts/Filters";
import { columnNamed, USUAL_FIELDS } from "./columns";

export const USUAL: Question = { filters: [], order: "-started_at" };

export const FACETS: Facet[] = [
  {
    field: "protocol",
    title: "Protocol",
    values: ["tcp", "udp", "icmp"].map((each): [string, string] => [each, each]),
  },
];

/** Return the filter that finds a word: what looks like an address among addresses, all else among server names. */
export function filterOf(word: string): string {
  return /^[0-9a-f]*[.:][0-9a-f.:]*$/i.test(word) ? `address^${word}` : `tls_server_name~${word}`;
}

export const FIND = { label: "Find an address or server name", filterOf, finds: ["address", "tls_server_name"] };

/** Return the columns that an address names; the usual ones where it names none. */
export function fieldsOf(text: string | null): string[] {
  const known = (text ?? "").split(",").filter((name) => columnNamed(name) && name !== "address");
  return known.length > 0 ? known : USUAL_FIELDS;
}
