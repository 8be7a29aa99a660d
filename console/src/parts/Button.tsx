/** Does something when pressed. */
import type { ComponentChildren, JSX } from "preact";
import style from "./Button.module.css";

type Props = JSX.IntrinsicElements["button"] & {
  kind?: "plain" | "main" | "danger" | "quiet";
  class?: string;
  children: ComponentChildren;
};

export function Button({ kind = "plain", type = "button", class: more = "", children, ...rest }: Props) {
  return (
    <button type={type} class={`${style.button} ${style[kind]} ${more}`} {...rest}>
      {children}
    </button>
  );
}
