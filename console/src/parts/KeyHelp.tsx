/** Lists the keys. */
import { PAGES } from "../routes";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import style from "./KeyHelp.module.css";

const KEYS: [string, string][] = [
  ["j, k", "next, previous incident"],
  ["Enter", "open the incident"],
  ["1, 2, 3", "true positive, false positive, benign; then Enter to give the verdict"],
  ["x", "select for what is done with many"],
  ["/", "find"],
  ["?", "these keys"],
];

export function KeyHelp({ close }: { close: () => void }) {
  const going = PAGES.filter((page) => page.key).map((page): [string, string] => [`g ${page.key}`, page.title]);
  return (
    <Dialog title="Keys" close={close}>
      <dl class={style.keys}>
        {[...KEYS, ...going].map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <Button onClick={close}>Close</Button>
    </Dialog>
  );
}
