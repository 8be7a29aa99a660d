/** Gives verdicts on incidents, and takes them back. */
import { useQueryClient } from "@tanstack/preact-query";
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

const about = (id: string) => ({ path: { incident_id: id } });

async function send(id: string, verdict: Verdict, comment: string): Promise<string> {
  const asked = api.POST("/api/v1/incidents/{incident_id}/verdicts", { params: about(id), body: { verdict, comment } });
  return (await answered(asked)).verdict_id;
}

/** Take a verdict back; the incident is what it was before. */
export async function withdraw(id: string, verdictId: string): Promise<void> {
  const params = { path: { incident_id: id, verdict_id: verdictId } };
  await answered(api.DELETE("/api/v1/incidents/{incident_id}/verdicts/{verdict_id}", { params }));
}

/** Return what gives a verdict: it shows at once, can be undone, and what went wrong is told. */
export function useJudge(): (incident: Judged, verdict: Verdict, comment?: string) => Promise<void> {
  const client = useQueryClient();
  const failed = (error: unknown) => tell(`No verdict was given: ${(error as Error).message}`, "failed");
  return async (incident, verdict, comment = "") => {
    const { incident_id: id, verdict: said, status } = incident;
    change(client, id, { verdict, ...(verdict !== "unsure" && { status: "closed" }) });
    try {
      const given = await send(id, verdict, comment);
      tell(`${capital(wordsOf(verdict))}: ${incident.title}`, "done", () => {
        withdraw(id, given)
          .then(() => change(client, id, { verdict: said, status }))
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
