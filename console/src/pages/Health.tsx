/** Shows how the platform is, what it depends on, and what long work it does. */
import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAction } from "../api/acting";
import { answered, api, listed } from "../api/client";
import type { Dependency, JobStatus } from "../api/schema";
import { may } from "../api/session";
import { Button } from "../parts/Button";
import { Confirm } from "../parts/Confirm";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { Progress } from "../parts/Progress";
import { type Column, Rows } from "../parts/Rows";
import { type Standing, State } from "../parts/State";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { Figures } from "./health/Figures";

const EVERY_MS = 5_000;
const MOST_JOBS = 100;

export default function Health() {
  return (
    <Page title="Health and jobs" note="What the platform depends on, and the long work that was asked of it.">
      <Dependencies />
      <Figures />
      <Jobs />
    </Page>
  );
}

function Dependencies() {
  const health = useQuery({
    queryKey: ["health"],
    queryFn: () => answered(api.GET("/api/v1/health")),
    refetchInterval: EVERY_MS,
  });
  return (
    <Panel
      title="Dependencies"
      note={
        health.data &&
        (health.data.state === "ok" ? (
          <State standing="good">all is well</State>
        ) : (
          <State standing="bad">degraded</State>
        ))
      }
    >
      <Shown of={health} what="dependencies">
        {(found) => (
          <Rows
            caption="Dependencies"
            rows={found.dependencies}
            columns={DEPENDENCIES}
            keyOf={(each) => each.name}
            empty="There are none"
          />
        )}
      </Shown>
    </Panel>
  );
}

const DEPENDENCIES: Column<Dependency>[] = [
  { title: "Name", show: (each) => <strong>{each.name}</strong> },
  { title: "State", show: (each) => <State standing={each.state === "up" ? "good" : "bad"}>{each.state}</State> },
  { title: "Since", show: (each) => <Time at={each.since} /> },
  { title: "Answers in, ms", align: "right", show: (each) => each.latency_ms.toFixed(2) },
  { title: "Reason", show: (each) => each.reason },
];

const STANDING: Record<JobStatus["state"], Standing> = {
  waiting: "waiting",
  running: "waiting",
  done: "good",
  failed: "bad",
  cancelled: "off",
};

function Jobs() {
  const [cancelled, setCancelled] = useState<JobStatus | null>(null);
  const jobs = useQuery({
    queryKey: ["jobs"],
    queryFn: () =>
      listed<JobStatus>(api.GET("/api/v1/jobs", { params: { query: { limit: MOST_JOBS, order: "-created_at" } } })),
    refetchInterval: EVERY_MS,
  });
  const cancel = useAction(
    (id: string) => answered(api.DELETE("/api/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
    { done: "Cancelled the job", changes: ["jobs"] },
  );
  const columns: Column<JobStatus>[] = [
    { title: "What", show: (job) => <strong>{job.kind}</strong> },
    { title: "State", show: (job) => <State standing={STANDING[job.state]}>{job.state}</State> },
    { title: "Progress", show: (job) => <Progress job={job} /> },
    { title: "Asked for", show: (job) => <Time at={job.created_at} /> },
    { title: "By", show: (job) => job.owner },
    { title: "What came of it", show: (job) => job.problem || job.result },
    {
      title: "Actions",
      align: "right",
      show: (job) =>
        may("engineer") &&
        (job.state === "waiting" || job.state === "running") && (
          <Button onClick={() => setCancelled(job)}>Cancel</Button>
        ),
    },
  ];
  return (
    <Panel title="Jobs">
      <Shown of={jobs} what="jobs">
        {(rows) => (
          <Rows
            caption="Jobs"
            rows={rows}
            columns={columns}
            keyOf={(job) => job.job_id}
            empty="No long work was asked for yet"
          />
        )}
      </Shown>
      {cancelled && (
        <Confirm
          title={`Cancel ${cancelled.kind}?`}
          action="Cancel the job"
          run={() => void cancel.run(cancelled.job_id)}
          close={() => setCancelled(null)}
        >
          What it has done so far is thrown away.
        </Confirm>
      )}
    </Panel>
  );
}
