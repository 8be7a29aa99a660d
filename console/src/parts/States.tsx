/** Shows what a page shows while it has nothing else to show: loading, empty, failed. */
import type { ComponentChildren } from "preact";
import { ProblemError } from "../api/client";
import { Button } from "./Button";
import style from "./States.module.css";

export function Loading({ rows = 4, what }: { rows?: number; what: string }) {
  return (
    <div role="status" class={style.loading}>
      <span class="unseen">Loading {what}</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} class={style.row} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class={style.state}>
      <p class={style.title}>{title}</p>
      {children && <div class="soft">{children}</div>}
    </div>
  );
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof ProblemError ? error.problem : null;
  return (
    <div role="alert" class={style.state}>
      <p class={style.title}>{problem?.title ?? "Something went wrong"}</p>
      <p class="soft">{problem?.detail || String(error)}</p>
      {problem?.errors?.map((each) => (
        <p key={each.problem} class="soft">
          {each.field && <code>{each.field}</code>} {each.problem} {each.remedy}
        </p>
      ))}
      {problem?.request_id && <p class="soft">Request {problem.request_id}</p>}
      {again && <Button onClick={again}>Try again</Button>}
    </div>
  );
}

type Asked<T> = { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown };

/** Show what was asked for once it is there, and until then how it stands. */
export function Shown<T>({
  of,
  what,
  children,
}: {
  of: Asked<T>;
  what: string;
  children: (data: T) => ComponentChildren;
}) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.isPending) return <Loading what={what} />;
  return <Failed error={of.error} again={() => void of.refetch()} />;
}
