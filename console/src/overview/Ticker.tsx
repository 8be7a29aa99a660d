/** Shows what happens as it happens, the latest first. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { answered, api } from "../api/client";
import { useFeed } from "../api/following";
import type { FeedEvent } from "../api/stream";
import { Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { TwoLines } from "../parts/TwoLines";
import { KEY } from "./asking";
import style from "./Ticker.module.css";

type Line = { key: string; at: string; severity: string; words: string; address?: string };
const SHOWN = 6;
const CHANNELS = ["threat", "behaviour", "network", "system", "custom"];

export function Ticker() {
  const [heard, setHeard] = useState<Line[]>([]);
  useFeed(CHANNELS, [], (events) =>
    setHeard((before) => [...events.slice(-SHOWN).map(lineOf).reverse(), ...before].slice(0, SHOWN)),
  );
  return (
    <Panel title="Happening now" note="the latest first">
      <Shown of={useLatest()} what="the latest detections">
        {(before) => (
          <ol class={style.list}>
            {[...heard, ...before].slice(0, SHOWN).map((line) => (
              <li key={line.key}>
                <Severity level={line.severity} />
                <Time at={line.at} />
                <span class={style.words}>
                  {line.address ? (
                    <Link href={line.address}>
                      <TwoLines text={line.words} />
                    </Link>
                  ) : (
                    <TwoLines text={line.words} />
                  )}
                </span>
              </li>
            ))}
          </ol>
        )}
      </Shown>
    </Panel>
  );
}

/** Ask for what was found before anybody looked. */
function useLatest() {
  return useQuery({
    queryKey: [KEY, "latest"],
    staleTime: Number.POSITIVE_INFINITY, // what comes later is heard
    queryFn: async ({ signal }) => {
      const params = { query: { order: "-at", limit: SHOWN, fields: "detection_id,at,severity,evidence" } };
      const found = await answered(api.GET("/api/v1/detections", { params, signal }));
      return (found.items as unknown as Found[]).map(foundLine);
    },
  });
}

type Found = { detection_id: string; at: string; severity: string; evidence: { summary: string } };

const foundLine = (found: Found): Line => ({
  key: found.detection_id,
  at: found.at,
  severity: found.severity,
  words: found.evidence.summary,
});

const KINDS: Record<string, string> = {
  "incident.raised": "New incident",
  "incident.updated": "Incident grew",
  "incident.merged": "Incident joined another",
  "incident.changed": "Incident changed",
  "verdict.given": "Verdict given",
  "verdict.withdrawn": "Verdict taken back",
};

function lineOf(event: FeedEvent): Line {
  const data = event.data as { title?: string; evidence?: { summary?: string }; verdict?: string; by?: string };
  const kind = KINDS[event.kind] ?? event.kind.replace(".", " ");
  const about = data.title ?? data.evidence?.summary ?? [data.verdict, data.by].filter(Boolean).join(" by ");
  const isIncident = event.kind.startsWith("incident.") || event.kind.startsWith("verdict.");
  return {
    key: event.position,
    at: event.at,
    severity: event.severity ?? "informational",
    words: data.evidence ? (about ?? kind) : `${kind}: ${about || event.subject}`,
    ...(isIncident && event.subject && { address: `/incidents/${event.subject}` }),
  };
}
