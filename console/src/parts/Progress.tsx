/** Shows how far a job has come. */
import type { JobStatus } from "../api/schema";
import { percent } from "./amounts";
import style from "./Progress.module.css";

export function Progress({ job }: { job: JobStatus }) {
  return (
    <span class={style.progress}>
      <progress class={style.bar} value={job.progress} max={1} aria-label={`Progress of ${job.kind}`} />
      {percent(job.progress)}
    </span>
  );
}
