/** Shows the stage of a version of a model. */
import type { Version } from "../api/schema";
import { type Standing, State } from "./State";

export type StageName = Version["moves"][number]["stage"];
const STANDING: Record<StageName, Standing> = {
  production: "good",
  staging: "waiting",
  candidate: "waiting",
  archived: "off",
};

/** Return the stage that a version is at. */
export function stageOf(version: Version): StageName {
  return version.moves.at(-1)?.stage ?? "candidate";
}

export function Stage({ stage }: { stage: StageName }) {
  return <State standing={STANDING[stage]}>{stage}</State>;
}
