/** Asks for flows: a list with the columns that are shown, and one flow with all that is known of it. */
import { useQuery } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import { type PageOf, usePages } from "../api/pages";
import type { Question } from "../parts/address";
import type { Flow } from "./columns";

const PAGE = 200;

export function useFlows({ filters, order }: Question, fields: string[]) {
  const wanted = ["flow_id", ...fields.filter((field) => field !== "flow_id")].join(",");
  return usePages<Flow>(["flows", filters, order, wanted], async (after, signal) => {
    const query = { filter: filters, order, fields: wanted, limit: PAGE, ...(after && { after }) };
    return (await answered(api.GET("/api/v1/flows", { params: { query }, signal }))) as PageOf<Flow>;
  });
}

export function useFlow(id: string) {
  return useQuery({
    queryKey: ["flow", id],
    queryFn: async () =>
      (await answered(api.GET("/api/v1/flows/{flow_id}", { params: { path: { flow_id: id } } }))) as Flow,
    staleTime: Number.POSITIVE_INFINITY, // a flow that ended does not change
  });
}
