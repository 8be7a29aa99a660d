/** Shows how far models are that are being learnt, and reads the list anew when one is there. */
import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { api, listed } from "../../api/client";
import type { JobStatus } from "../../api/schema";
import { Panel } from "../../parts/Panel";
import { Progress } from "../../parts/Progress";
import { type Column, Rows } from "../../parts/Rows";
import { State } from "../../parts/State";
import { Time } from "../../parts/Time";

const EVERY_MS = 3_000;
const LATEST = 20;
const QUERY = { limit: LATEST, order: "-created_at", filter: ["kind=retraining"] };

export function Learning() {
  const client = useQueryClient();
  const jobs = useQuery({
    queryKey: ["jobs", "retraining"],
    queryFn: () => listed<JobStatus>(api.GET("/api/v1/jobs", { params: { query: QUERY } })),
    refetchInterval: EVERY_MS,
  });
  const [latest, ...others] = jobs.data ?? [];
  const shown = [...(latest ? [latest] : []), ...others.filter(isOn)].filter((job) => isOn(job) || job.problem);
  const done = jobs.data?.filter((job) => job.state === "done").length ?? 0;
  useEffect(() => void client.invalidateQueries({ queryKey: ["registry"] }), [done]);
  if (shown.length === 0) return null;
  return (
    <Panel title="Being learnt" tools={<Link href="/health">All jobs</Link>}>
      <Rows
        caption="Models that are being learnt"
        rows={shown}
        columns={COLUMNS}
        keyOf={(job) => job.job_id}
        empty=""
      />
    </Panel>
  );
}

const isOn = (job: JobStatus) => job.state === "waiting" || job.state === "running";

const COLUMNS: Column<JobStatus>[] = [
  {
    title: "State",
    show: (job) => <State standing={isOn(job) ? "waiting" : "bad"}>{job.state}</State>,
  },
  { title: "Progress", show: (job) => <Progress job={job} /> },
  { title: "Asked for", show: (job) => <Time at={job.created_at} /> },
  { title: "By", show: (job) => job.owner },
  { title: "Problem", show: (job) => job.problem || "none" },
];
