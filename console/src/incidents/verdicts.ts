/** Gives verdicts on incidents, and takes them back. */
import { type QueryClient, useQueryClient } from "@tanstack/preact-query";
import { answered, api } from "../api/client";
import { tell } from "../parts/tell";
import { change, type Incident, type Verdict } from "./asking";

export const VERDICTS: { verdict: Verdict; key?: string; words: string; means: string }[] = [
  { verdict: "true_positive", key: "1", words: "true positive", means: "It happened, and is hostile" },
  { verdict: "false_positive", key: "2", words: "false positive", means: "It did not happen" },
  { verdict: "benign", key: "3", words: "benign", means: "It happened, and is allowed" },
  { verdict: "unsure", words: "unsure", means: "Not known yet; it stays open" },
];

export const wordsOf = (verdict: string) => VERDICTS.find((each) => each.verdict === verdict)?.words ?? verdict;

type Judged = Pick<Incident, "incident_id" | "title" | "verdict" | "status">;

async function send(id: string, verdict: Verdict, comment: string): Promise<void> {
  const params = { path: { incident_id: id } };
  await answered(api.POST("/api/v1/incidents/{incident_id}/verdicts", { params, body: { verdict, comment } }));
}

/** Restore what was said before; where nothing was, a verdict cannot be unsaid, so that it becomes unsure. */
async function takeBack(client: QueryClient, before: Judged): Promise<void> {
  const id = before.incident_id;
  const verdict = (before.verdict || "unsure") as Verdict;
  await send(id, verdict, "The verdict before was taken back.");
  const body = {
    operation: "update_status" as const,
    incident_ids: [id],
    parameters: { status: before.status, comment: "" },
  };
  await answered(api.POST("/api/v1/incidents/bulk-operations", { body }));
  change(client, id, { verdict, status: before.status });
}

/** Return what gives a verdict: it shows at once, can be undone, and what went wrong is told. */
export function useJudge(): (incident: Judged, verdict: Verdict, comment?: string) => Promise<void> {
  const client = useQueryClient();
  const failed = (error: unknown) => tell(`No verdict was given: ${(error as Error).message}`, "failed");
  return async (incident, verdict, comment = "") => {
    const { incident_id: id, verdict: said, status } = incident;
    change(client, id, { verdict, ...(verdict !== "unsure" && { status: "closed" }) });
    try {
      await send(id, verdict, comment);
      tell(`${capital(wordsOf(verdict))}: ${incident.title}`, "done", () => {
        takeBack(client, incident)
          .catch(failed)
          .finally(() => void client.invalidateQueries({ queryKey: ["incident", id] }));
      });
    } catch (error) {
      change(client, id, { verdict: said, status });
      failed(error);
    }
    void client.invalidateQueries({ queryKey: ["incident", id] });
  };
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
