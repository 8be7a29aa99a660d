/** Listens to keys, alone and one after another, wherever nobody writes. */
import { useEffect, useRef } from "preact/hooks";

/** What to do by key, such as "j", "Enter" or "g i". */
export type Keys = Record<string, (event: KeyboardEvent) => void>;
const PAUSE_MS = 1_000;

function isWriting(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element && (element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName));
}

/** Do what belongs to keys while the component is shown; nothing while somebody writes or a dialog is open. */
export function useKeys(keys: Keys): void {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    let before = "";
    let at = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
      if (document.querySelector("dialog[open]")) return;
      const both = event.timeStamp - at < PAUSE_MS ? `${before} ${event.key}` : "";
      const does = now.current[both] ?? now.current[event.key];
      before = event.key;
      at = event.timeStamp;
      does?.(event);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
