/** Shows messages where screen readers hear them, too. */
import { Button } from "./Button";
import style from "./Messages.module.css";
import { dismiss, type Message, messages } from "./tell";

export function Messages() {
  return (
    <div class={style.messages} role="status" aria-live="polite">
      {messages.value.map((each) => (
        <div key={each.id} class={`${style.message} ${style[each.kind]}`}>
          <span>{each.text}</span>
          {each.undo && <Button onClick={() => undone(each)}>Undo</Button>}
          <Button kind="quiet" aria-label="Dismiss" onClick={() => dismiss(each.id)}>
            ✕
          </Button>
        </div>
      ))}
    </div>
  );
}

function undone(message: Message): void {
  dismiss(message.id);
  message.undo?.();
}
