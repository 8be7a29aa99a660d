/** Keeps what a page shows in its address, so that it can be sent and gone back to. */
import { useSearchParams } from "wouter-preact";

type Change = Record<string, string | null>;

/** Return the parameters of the address and what changes some of them; without a step back where it replaces. */
export function useParameters(): [URLSearchParams, (change: Change, isReplaced?: boolean) => void] {
  const [parameters, set] = useSearchParams();
  const put = (change: Change, isReplaced = false) => set((before) => changed(before, change), { replace: isReplaced });
  return [parameters, put];
}

/** Return parameters of which some are otherwise; null and empty texts leave one out. */
export function changed(before: URLSearchParams, change: Change): URLSearchParams {
  const next = new URLSearchParams(before);
  for (const [name, value] of Object.entries(change)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return next;
}
