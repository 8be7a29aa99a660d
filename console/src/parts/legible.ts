/** Shows signs that turn the direction of reading, which a name of an attacker may hold to look like another. */
import { options, type VNode } from "preact";

const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
/** What of an element people read or hear besides its text. */
const READ = ["title", "aria-label", "alt", "placeholder"];

/** Return a text in which such signs are written out, as `\u202e`. */
export const legible = (text: string): string =>
  text.replace(TURNING, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`);

/** Write them out in every text and in every attribute that is read, whatever part of the console shows it. */
export function showLegibly(): void {
  const before = options.vnode;
  options.vnode = (node) => {
    makeLegible(node);
    before?.(node);
  };
}

function makeLegible(node: VNode): void {
  const { type, props } = node as { type: unknown; props: unknown };
  if (type === null && typeof props === "string") (node as { props: unknown }).props = legible(props);
  if (typeof type !== "string") return;
  const told = props as Record<string, unknown>;
  for (const name of READ) {
    const text = told[name];
    if (typeof text === "string") told[name] = legible(text);
  }
}
