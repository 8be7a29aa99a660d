/** Leads somewhere, and looks like what can be pressed. */
import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import style from "./Button.module.css";
import own from "./LinkButton.module.css";

export function LinkButton({ href, children }: { href: string; children: ComponentChildren }) {
  return (
    <Link href={href} class={`${style.button} ${own.link}`}>
      {children}
    </Link>
  );
}
