/** Says why no flow is listed, and what to do about it. */
import { Empty } from "../parts/States";

export function Nothing({ isFiltered }: { isFiltered: boolean }) {
  return isFiltered ? (
    <Empty title="No flow is like that">Remove a filter, or choose a longer time.</Empty>
  ) : (
    <Empty title="No flows yet">They appear as soon as sensors send traffic.</Empty>
  );
}
