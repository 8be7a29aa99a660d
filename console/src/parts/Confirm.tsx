/** Asks once before something that cannot be taken back, and says what it will do. */
import type { ComponentChildren } from "preact";
import { Button } from "./Button";
import style from "./Confirm.module.css";
import { Dialog } from "./Dialog";

type Props = { title: string; action: string; run: () => void; close: () => void; children: ComponentChildren };

export function Confirm({ title, action, run, close, children }: Props) {
  const go = () => {
    run();
    close();
  };
  return (
    <Dialog title={title} close={close}>
      <div class={style.words}>{children}</div>
      <div class={style.buttons}>
        <Button onClick={close}>Cancel</Button>
        <Button kind="danger" onClick={go}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
