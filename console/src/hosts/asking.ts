/** Asks for hosts and for what is known about one of them. */
import { useQuery } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import type { PageOf } from "../api/pages";
import { usePages } from "../api/pages";
import type { components } from "../api/schema";
import type { Question } from "../parts/address";

export type Host = components["schemas"]["HostSummary"];
export type HostDetail = components["schemas"]["HostDetail"];
export type Asset = components["schemas"]["AssetFacts"];
/** A page of hosts, with the span over which they were counted. */
export type HostPage = Omit<components["schemas"]["PageOfHosts"], "items"> & PageOf<Host>;

const PAGE = 100;

async function page(question: Question, limit: number, after?: string, signal?: AbortSignal): Promise<HostPage> {
  const query = { filter: question.filters, order: question.order, limit, ...(after && { after }) };
  const asked = api.GET("/api/v1/hosts", { params: { query }, ...(signal && { signal }) });
  return (await answered(asked)) as HostPage; // no fields were chosen, so that all are there
}

export function useHosts(question: Question) {
  return usePages(["hosts", question.filters, question.order], (after, signal) => page(question, PAGE, after, signal));
}

/** Ask over which span hosts were counted, and how many there are. */
export function useSpan() {
  return useQuery({ queryKey: ["hosts", "span"], queryFn: () => page({ filters: [], order: "-value" }, 1) });
}

export function useHost(address: string) {
  return useQuery({
    queryKey: ["host", address],
    queryFn: () => answered(api.GET("/api/v1/hosts/{address}", { params: { path: { address } } })),
  });
}

/** Return the identity of what is known about an address or network; it stands in paths. */
const assetId = (network: string) => network.replace("/", "_");

/** Ask for what people wrote down about an address: null where they wrote nothing. */
export async function assetOf(network: string): Promise<{ asset: Asset; tag: string } | null> {
  const known = await answered(api.GET("/api/v1/assets", { params: { query: { filter: [`network=${network}`] } } }));
  if (known.items.length === 0) return null;
  const asked = api.GET("/api/v1/assets/{asset_id}", { params: { path: { asset_id: assetId(network) } } });
  const asset = await answered(asked);
  return { asset, tag: (await asked).response.headers.get("etag") ?? "" };
}

export type Facts = Pick<Asset, "name" | "criticality" | "roles" | "owner" | "note">;

/** Write down what is known about an address, as a new asset or as a change of one. */
export async function keep(network: string, facts: Facts, tag: string | null): Promise<void> {
  const path = { asset_id: assetId(network) };
  if (tag === null) await answered(api.POST("/api/v1/assets", { body: { network, ...facts } }));
  else {
    const params = { path, header: { "if-match": tag } };
    await answered(api.PATCH("/api/v1/assets/{asset_id}", { params, body: facts }));
  }
}
