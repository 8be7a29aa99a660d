/** Shows what is known about the world: indicators, threat reports, and what anybody knows of a value. */
import { may } from "../api/session";
import { Page } from "../parts/Page";
import { Tabs } from "../parts/Tabs";
import { Imports } from "./intelligence/Imports";
import { Indicators } from "./intelligence/Indicators";
import { LookUp } from "./intelligence/LookUp";
import { Reports } from "./intelligence/Reports";

export default function Intelligence() {
  const tabs = [
    { key: "indicators", title: "Indicators", show: () => <Indicators /> },
    { key: "reports", title: "Reports", show: () => <Reports /> },
    { key: "look-up", title: "Look up", show: () => <LookUp /> },
    ...(may("engineer") ? [{ key: "imports", title: "Imports", show: () => <Imports /> }] : []),
  ];
  return (
    <Page
      title="Intelligence"
      note="What others found elsewhere, how far it is still to be believed, and whether it was seen here."
    >
      <div>
        <Tabs label="Parts of this page" tabs={tabs} />
      </div>
    </Page>
  );
}
