/** Says who else is told what happens: systems, people and webhooks; how deliveries stand, and what failed. */
import { Page } from "../parts/Page";
import { Tabs } from "../parts/Tabs";
import { Systems } from "./integrations/Systems";
import { Webhooks } from "./integrations/Webhooks";

const TABS = [
  { key: "systems", title: "Systems and people", show: () => <Systems /> },
  { key: "webhooks", title: "Webhooks", show: () => <Webhooks /> },
];

export default function Integrations() {
  return (
    <Page
      title="Integrations"
      note="Who else is told what happens. Nothing is lost while a receiver is away: it is sent again for days."
    >
      <div>
        <Tabs label="Parts of this page" tabs={TABS} />
      </div>
    </Page>
  );
}
