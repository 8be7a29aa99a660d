/** Shows what is known about one row at the side, while the list stays. */
import { X } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { useKeys } from "../keyboard";
import { Button } from "./Button";
import style from "./Sheet.module.css";

type Props = { title: ComponentChildren; close: () => void; children: ComponentChildren };

export function Sheet({ title, close, children }: Props) {
  const id = useId();
  useKeys({ Escape: close });
  return (
    <aside class={style.sheet} aria-labelledby={id}>
      <header class={style.head}>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" aria-label="Close" title="Close (Escape)" onClick={close}>
          <X size={16} />
        </Button>
      </header>
      {children}
    </aside>
  );
}
