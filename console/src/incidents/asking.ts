/** Asks for incidents, and keeps what is shown of them true. */
import { type QueryClient, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useRef, useState } from "preact/hooks";
import { answered, api } from "../api/client";
import { useFeed } from "../api/following";
import { type Listed, type PageOf, usePages } from "../api/pages";
import type { components } from "../api/schema";
import type { Question } from "../parts/address";

export type Incident = components["schemas"]["IncidentSummary"];
export type Verdict = components["schemas"]["NewVerdict"]["verdict"];
export type Status = Incident["status"];
type Pages = { pages: PageOf<Incident>[]; pageParams: (string | undefined)[] };

export const LIST = "incidents";
const PAGE = 100;

/** Ask for a page of incidents. */
export async function page(question: Question, limit = PAGE, after?: string, signal?: AbortSignal) {
  const query = { filter: question.filters, order: question.order, limit, ...(after && { after }) };
  const asked = api.GET("/api/v1/incidents", { params: { query }, ...(signal && { signal }) });
  return (await answered(asked)) as PageOf<Incident>; // no fields were chosen, so that all are there
}

type Live = { list: Listed<Incident>; fresh: { count: number; show: () => void } };

/** Events of this long lead to one question. */
const GATHER_MS = 1_500;

/** Follow a list: what is shown changes in its place, what is new waits until somebody wants to see it. */
export function useIncidents(question: Question): Live {
  const client = useQueryClient();
  const key = [LIST, question.filters, question.order];
  const list = usePages(key, (after, signal) => page(question, PAGE, after, signal));
  const [latest, setLatest] = useState<PageOf<Incident> | null>(null);
  const known = useRef(list.rows);
  known.current = list.rows;
  const show = (first: PageOf<Incident>) => {
    client.setQueryData<Pages>(key, { pages: [first], pageParams: [undefined] });
    setLatest(null);
  };
  const look = async () => {
    const first = await page(question);
    for (const each of first.items) change(client, each.incident_id, each);
    if (known.current.length === 0) show(first);
    else setLatest(first);
  };
  useGathered(look, JSON.stringify(key));
  useEffect(() => setLatest(null), [JSON.stringify(key)]);
  const ids = new Set(list.rows.map((each) => each.incident_id));
  const count = latest?.items.filter((each) => !ids.has(each.incident_id)).length ?? 0;
  return { list, fresh: { count, show: () => latest && show(latest) } };
}

/** Look again some time after events about incidents; what fails is tried with the next. */
function useGathered(look: () => Promise<void>, key: string): void {
  const now = useRef(look);
  now.current = look;
  const timer = useRef(0);
  useFeed(["threat"], [], () => {
    timer.current ||= window.setTimeout(() => {
      timer.current = 0;
      now.current().catch(() => undefined);
    }, GATHER_MS);
  });
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = 0;
    },
    [key],
  );
}

/** Change an incident wherever lists show it. */
export function change(client: QueryClient, id: string, part: Partial<Incident>): void {
  const changed = (row: Incident) => (row.incident_id === id ? { ...row, ...part } : row);
  client.setQueriesData<Pages>({ queryKey: [LIST] }, (before) =>
    before?.pages
      ? { ...before, pages: before.pages.map((each) => ({ ...each, items: each.items.map(changed) })) }
      : before,
  );
}

/** Return the incidents before and after one, in the list that was asked for last; null where there is none. */
export function neighboursOf(client: QueryClient, id: string): { before: string | null; after: string | null } {
  const lists = client.getQueryCache().findAll({ queryKey: [LIST] });
  const latest = lists.sort((one, other) => other.state.dataUpdatedAt - one.state.dataUpdatedAt)[0];
  const ids = (latest?.state.data as Pages | undefined)?.pages.flatMap((each) =>
    each.items.map((row) => row.incident_id),
  );
  const place = ids?.indexOf(id) ?? -1;
  if (!ids || place < 0) return { before: null, after: null };
  return { before: ids[place - 1] ?? null, after: ids[place + 1] ?? null };
}
