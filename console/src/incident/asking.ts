/** Asks for an incident and for what stands behind it. */
import { useQuery } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import { useRefresh } from "../api/following";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
export type Detail = Schemas["IncidentDetail"];
export type TimelineEntry = Schemas["TimelineEntry"];
export type Plan = Schemas["Plan"];
export type PlanStep = Schemas["PlanStep"];

/** A line of `incidents.jsonl`, as far as it is shown here. */
export type Story = {
  orig: string[];
  resp: string[];
  entity_count: number;
  techniques: { id: string; name: string; tactic: string }[];
  assets: Record<string, Asset>;
  joins: { why: string; at: string; incident_id?: string }[];
  kill_chain: { tactic: string; at: string; incident_id: string }[];
  merged_into?: string;
  explanation: {
    summary: string;
    steps: { text: string; detection_ids?: string[] }[];
    attributions: { name: string; points: number }[];
    changes?: { text: string }[];
  };
};

export type Asset = {
  name: string | null;
  owner: string | null;
  criticality: string | null;
  roles: string[];
  seen_name: string | null;
  seen_roles: string[];
};

export const KEY = "incident";

const about = (id: string) => ({ params: { path: { incident_id: id } } });

export const storyOf = (detail: Detail) => detail.incident as unknown as Story;

/** Ask for an incident, and again when something happens to any. */
export function useIncident(id: string) {
  useRefresh(["threat"], [KEY]);
  return useQuery({
    queryKey: [KEY, id],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}", { ...about(id), signal })),
  });
}

export function useTimeline(id: string) {
  return useQuery({
    queryKey: [KEY, id, "timeline"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}/timeline", { ...about(id), signal })),
  });
}

export function useGraph(id: string) {
  return useQuery({
    queryKey: [KEY, id, "graph"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}/graph", { ...about(id), signal })),
  });
}

export function useSimilar(id: string) {
  return useQuery({
    queryKey: [KEY, id, "similar"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}/similar", { ...about(id), signal })),
  });
}

export function usePlan(id: string) {
  return useQuery({
    queryKey: [KEY, id, "response"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}/response", { ...about(id), signal })),
  });
}

const WAITING_MS = 2_000;

/** Ask for the packets, and again while sensors are asked. */
export function usePackets(id: string) {
  return useQuery({
    queryKey: [KEY, id, "packets"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/incidents/{incident_id}/evidence", { ...about(id), signal })),
    refetchInterval: ({ state }) => (state.data?.state === "waiting" ? WAITING_MS : false),
  });
}

const LATEST = { order: "-at", limit: 50 };

export function useVerdicts(id: string) {
  return useQuery({
    queryKey: [KEY, id, "verdicts"],
    queryFn: async ({ signal }) => {
      const params = { path: { incident_id: id }, query: LATEST };
      const given = await answered(api.GET("/api/v1/incidents/{incident_id}/verdicts", { params, signal }));
      return given.items as Schemas["GivenVerdict"][];
    },
  });
}
