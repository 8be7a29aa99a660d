/** Does what people ask for: once, with word of what came of it, and with what it changed asked for anew. */
import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { tell } from "../parts/tell";
import { ProblemError } from "./client";

/** What the server said of fields, by their name. */
export type FieldProblems = Record<string, string>;

export type Action<A> = {
  run: (given: A) => Promise<boolean>;
  isBusy: boolean;
  problems: FieldProblems;
};

type Told<R> = { done?: string | ((result: R) => string); changes?: string[]; after?: (result: R) => void };

/** Return an action: how to run it, whether it runs, and what is wrong with which field. */
export function useAction<A, R>(does: (given: A) => Promise<R>, told: Told<R> = {}): Action<A> {
  const client = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const [problems, setProblems] = useState<FieldProblems>({});
  const run = async (given: A) => {
    setBusy(true);
    setProblems({});
    try {
      const result = await does(given);
      for (const key of told.changes ?? []) void client.invalidateQueries({ queryKey: [key] });
      if (told.done) tell(typeof told.done === "string" ? told.done : told.done(result));
      told.after?.(result);
      return true;
    } catch (error) {
      setProblems(problemsOf(error));
      tell(error instanceof Error ? error.message : String(error), "failed");
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { run, isBusy, problems };
}

function problemsOf(error: unknown): FieldProblems {
  const told = error instanceof ProblemError ? (error.problem.errors ?? []) : [];
  return Object.fromEntries(
    told.flatMap((each) => (each.field ? [[each.field, `${each.problem} ${each.remedy ?? ""}`]] : [])),
  );
}
