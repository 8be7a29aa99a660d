/** Asks or tells something before all else; Escape closes it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import style from "./Dialog.module.css";

type Props = { title: string; close: () => void; isWide?: boolean; children: ComponentChildren };

export function Dialog({ title, close, isWide, children }: Props) {
  const shown = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => shown.current?.showModal(), []);
  return (
    <dialog ref={shown} class={`${style.dialog} ${isWide ? style.wide : ""}`} aria-labelledby={id} onClose={close}>
      <h2 id={id} title={title}>
        {title}
      </h2>
      {children}
    </dialog>
  );
}
