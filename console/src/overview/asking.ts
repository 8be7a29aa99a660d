/** Asks for the figures of the overview. */
import { useQuery } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
export type Figures = Schemas["DashboardMetrics"];
export const KEY = "overview";
const MATRIX_MS = 300_000;

/** Ask for the figures of the last hours. */
export function useFigures(hours: number) {
  return useQuery({
    queryKey: [KEY, "figures", hours],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/dashboard-metrics", { params: { query: { hours } }, signal })),
  });
}

/** Ask for the techniques that incidents of the last day name, those of most incidents first. */
export function useTechniques(most: number) {
  return useQuery({
    queryKey: ["techniques of the day"], // the whole matrix: too much to ask for after each event
    staleTime: MATRIX_MS,
    refetchInterval: MATRIX_MS,
    queryFn: async ({ signal }) => {
      const matrix = await answered(api.GET("/api/v1/attack", { params: { query: { days: 1 } }, signal }));
      return matrix.techniques
        .filter((each) => each.incidents > 0)
        .sort((one, other) => other.incidents - one.incidents || other.detections - one.detections)
        .slice(0, most);
    },
  });
}

export function useHealth() {
  return useQuery({
    queryKey: [KEY, "health"],
    queryFn: ({ signal }) => answered(api.GET("/api/v1/health", { signal })),
    refetchInterval: 30_000,
  });
}
