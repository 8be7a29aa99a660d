/** Shows how grave something is: by a word and a shape, never by colour alone. */
import style from "./Severity.module.css";

export const LEVELS = ["critical", "high", "medium", "low", "informational"] as const;
export type Level = (typeof LEVELS)[number];
const SHAPES: Record<Level, string> = { critical: "◆", high: "▲", medium: "■", low: "●", informational: "○" };

export function levelOf(text: string): Level {
  return LEVELS.find((each) => each === text) ?? "informational";
}

/** Return the class that gives something the colour of a level. */
export const levelColour = (text: string) => `level-${levelOf(text)}`;

export function Severity({ level }: { level: string }) {
  const known = levelOf(level);
  return (
    <span class={`${style.badge} ${style[known]} ${levelColour(known)}`}>
      <span aria-hidden="true">{SHAPES[known]}</span> {known}
    </span>
  );
}
