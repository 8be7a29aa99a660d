/** Shows what needs attention now, and how the day went. */
import { useRefresh } from "../api/following";
import { Carried, Found } from "../overview/Activity";
import { Attention } from "../overview/Attention";
import { KEY } from "../overview/asking";
import { Day } from "../overview/Day";
import { Standing } from "../overview/Standing";
import { Ticker } from "../overview/Ticker";
import { Talkers, Techniques } from "../overview/Tops";
import { Page } from "../parts/Page";
import style from "./Overview.module.css";

/** Figures of a day need not follow each event. */
const EVERY_MS = 5_000;

export default function Overview() {
  useRefresh(["threat", "behaviour"], [KEY], EVERY_MS);
  return (
    <Page title="Overview">
      <Day />
      <div class={style.wide}>
        <div class={style.stack}>
          <Attention />
          <Found />
        </div>
        <div class={style.stack}>
          <Standing />
          <Ticker />
        </div>
      </div>
      <div class={style.thirds}>
        <Carried />
        <Talkers />
        <Techniques />
      </div>
    </Page>
  );
}
