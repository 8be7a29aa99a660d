/** Says why no incident is listed, and what to do about it. */
import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { Empty, Shown } from "../parts/States";
import { page } from "./asking";
import { USUAL } from "./question";

const EVERY = { filters: [], order: USUAL.order };

export function Nothing({ filters }: { filters: string[] }) {
  if (filters.length === 0) return <NoneYet />;
  if (filters.join() === USUAL.filters.join()) return <NoneOpen />;
  return <Empty title="No incident is like that">Remove a filter, or clear them all to see every incident.</Empty>;
}

/** Tell a platform on which all is done from one on which nothing happened yet. */
function NoneOpen() {
  const any = useQuery({ queryKey: ["any incident"], queryFn: ({ signal }) => page(EVERY, 1, undefined, signal) });
  return (
    <Shown of={any} what="incidents">
      {({ items }) =>
        items.length === 0 ? (
          <NoneYet />
        ) : (
          <Empty title="All incidents are closed">
            New ones appear here by themselves. <Link href={ALL}>Show those that are closed</Link>.
          </Empty>
        )
      }
    </Shown>
  );
}

const ALL = `/incidents?filter=${encodeURIComponent("status=closed")}&order=-last_seen`;

function NoneYet() {
  return (
    <Empty title="No incidents yet">
      They come as soon as something in the traffic is worth a look. See whether <Link href="/sensors">sensors</Link>{" "}
      send any.
    </Empty>
  );
}
