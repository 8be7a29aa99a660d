/** Frames the table that a page is about. */
import type { ComponentChildren } from "preact";
import style from "./TableFrame.module.css";

export function TableFrame({ children }: { children: ComponentChildren }) {
  return <div class={style.frame}>{children}</div>;
}
