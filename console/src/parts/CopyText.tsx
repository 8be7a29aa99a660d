/** Shows a text that is to be used elsewhere, and copies it. */
import { Copy } from "lucide-preact";
import { Button } from "./Button";
import style from "./CopyText.module.css";
import { tell } from "./tell";

export function CopyText({ text, label }: { text: string; label: string }) {
  const copy = () => void navigator.clipboard.writeText(text).then(() => tell(`Copied ${label}`));
  return (
    <span class={style.copy}>
      <code>{text}</code>
      <Button kind="quiet" aria-label={`Copy ${label}`} title={`Copy ${label}`} onClick={copy}>
        <Copy size={14} />
      </Button>
    </span>
  );
}
