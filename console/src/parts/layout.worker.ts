/** Places graphs beside the page, so that it never stands still. */
import { placed, type Task } from "./layout";

addEventListener("message", (event: MessageEvent<Task>) => {
  const found = placed(event.data);
  postMessage(found, { transfer: [found.buffer] });
});
