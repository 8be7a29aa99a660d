/** Asks or tells something before all else; Escape closes it. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import style from "./Dialog.module.css";

export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const shown = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => shown.current?.showModal(), []);
  return (
    <dialog ref={shown} class={style.dialog} aria-labelledby={id} onClose={close}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}
