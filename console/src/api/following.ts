/** Joins the stream to components: keeps what was asked for as true as what happens. */
import { useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { type FeedEvent, follow } from "./stream";

/** Call a listener for each group of events while the component is shown. */
/* The key stands for both lists; the listener may be a new one each time. */
export function useFeed(channels: string[], filters: string[], listener: (events: FeedEvent[]) => void): void {
  const key = JSON.stringify([channels, filters]);
  useEffect(() => follow(channels, filters, listener), [key]);
}

const GATHER_MS = 1_000;

/** Ask again, at most once a second, for what events of channels may have changed. */
export function useRefresh(channels: string[], keys: string[]): void {
  const client = useQueryClient();
  const key = keys.join();
  useEffect(() => {
    let timer = 0;
    const refresh = () => {
      timer = 0;
      for (const each of keys) void client.invalidateQueries({ queryKey: [each] });
    };
    const end = follow(channels, [], () => {
      timer ||= window.setTimeout(refresh, GATHER_MS);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [key]);
}
