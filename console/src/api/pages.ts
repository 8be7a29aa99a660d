/** Asks for lists page by page: the next one only when somebody reads on. */
import { type InfiniteData, useInfiniteQuery } from "@tanstack/preact-query";

export type PageOf<Row> = { items: Row[]; next?: string | null | undefined };

/** A list as far as it was read, and how it stands. */
export type Listed<Row> = {
  rows: Row[];
  hasMore: boolean;
  isPending: boolean;
  isReading: boolean;
  /** The rows of the question before are still shown, since those of this one are not there yet. */
  isOld: boolean;
  error: unknown;
  more: () => void;
  again: () => void;
};

const PATIENT_MS = 60_000;

/** Ask for a list; `key` names the question, `ask` gets the page that begins at a cursor. */
export function usePages<Row>(
  key: readonly unknown[],
  ask: (after: string | undefined, signal: AbortSignal) => Promise<PageOf<Row>>,
): Listed<Row> {
  const asked = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: PageOf<Row>) => page.next ?? undefined,
    placeholderData: (before: InfiniteData<PageOf<Row>, string | undefined> | undefined) => before,
    staleTime: PATIENT_MS,
    refetchOnWindowFocus: false, // what was read on to would be asked for anew, page after page
  });
  return {
    rows: asked.data?.pages.flatMap((page) => page.items) ?? [],
    hasMore: asked.hasNextPage,
    isPending: asked.isPending,
    isReading: asked.isFetching,
    isOld: asked.isPlaceholderData,
    error: asked.error,
    more: () => {
      if (asked.hasNextPage && !asked.isFetching) void asked.fetchNextPage();
    },
    again: () => void asked.refetch(),
  };
}
