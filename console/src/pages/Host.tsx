/** Shows a host: who it is, what it did, and what of that is not usual. */
import { Pencil } from "lucide-preact";
import { useState } from "preact/hooks";
import { useRefresh } from "../api/following";
import { may } from "../api/session";
import { Activity } from "../hosts/Activity";
import { AssetDialog } from "../hosts/AssetDialog";
import { type HostDetail, useHost } from "../hosts/asking";
import { Detections, Incidents } from "../hosts/Findings";
import style from "../hosts/Host.module.css";
import { Peers } from "../hosts/Peers";
import { told } from "../hosts/telling";
import { bytes, count } from "../parts/amounts";
import { Bars } from "../parts/Bars";
import { Button } from "../parts/Button";
import { CopyText } from "../parts/CopyText";
import { KeyValue } from "../parts/KeyValue";
import { LinkButton } from "../parts/LinkButton";
import { Page } from "../parts/Page";
import { Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";

export default function Host({ params: { id } }: { params: { id: string } }) {
  const asked = useHost(id);
  const [isEdited, setEdited] = useState(false);
  useRefresh(["threat"], ["host"]);
  const tools = (
    <>
      <LinkButton href={`/flows?filter=${encodeURIComponent(`address=${id}`)}`}>Flows of this host</LinkButton>
      {(asked.data?.incidents.length ?? 0) > 0 && (
        <LinkButton href={`/graph?days=365&node=${encodeURIComponent(nodeOf(id, asked.data))}`}>
          Graph around it
        </LinkButton>
      )}
      {may("engineer") && (
        <Button onClick={() => setEdited(true)}>
          <Pencil size={14} aria-hidden="true" /> Edit asset
        </Button>
      )}
    </>
  );
  return (
    <Page title={id} note={asked.data?.summary.name} tools={tools}>
      <Shown of={asked} what="the host">
        {(host) => <Detail host={host} />}
      </Shown>
      {isEdited && <AssetDialog network={id} close={() => setEdited(false)} />}
    </Page>
  );
}

function Detail({ host }: { host: HostDetail }) {
  const { activity } = host;
  return (
    <>
      <div class={style.who}>
        <Panel title="Who it is">
          <Identity host={host} />
        </Panel>
        <Panel title="What differs from its usual behaviour">
          <Changes host={host} />
        </Panel>
      </div>
      <Panel title="Activity">
        <Activity activity={activity} />
      </Panel>
      <Panel
        title="Peers"
        note={`the ${activity.peers.length} with the most bytes since ${activity.start.slice(0, 10)}`}
      >
        <Peers address={host.summary.address} peers={activity.peers} />
      </Panel>
      <div class={style.two}>
        <Panel title="Protocols">
          <Services title="Flows by application protocol" services={activity.protocols} />
        </Panel>
        <Panel title="Ports">
          <Services title="Flows by port" services={activity.ports} />
        </Panel>
      </div>
      <Panel title="Incidents" note="the latest 20 in which it takes part">
        <Incidents rows={host.incidents} />
      </Panel>
      <Panel title="Detections" note="the latest 20 that name it">
        <Detections rows={host.detections} />
      </Panel>
    </>
  );
}

/* The graph calls hosts outside the site addresses. */
function nodeOf(address: string, host: HostDetail | undefined): string {
  return `${host?.summary.place === "outside" ? "address" : "host"}:${address}`;
}

const unknown = <span class="soft">unknown</span>;

function Identity({ host }: { host: HostDetail }) {
  const { summary, owner, activity } = host;
  const names = activity.names.map((each) => `${each.name} (${count(each.flows)} flows)`).join(", ");
  return (
    <KeyValue
      rows={[
        ["Address", <CopyText key="address" text={summary.address} label="address" />],
        ["Name", summary.name || unknown],
        ["Called by others", names || <span class="soft">by no name</span>],
        ["Place", summary.place],
        ["Roles", summary.roles.join(", ") || unknown],
        ["Criticality", summary.criticality ? <Severity key="criticality" level={summary.criticality} /> : unknown],
        ["Owner", owner || unknown],
        ["Worst open incident", summary.level ? <Severity key="level" level={summary.level} /> : "none open"],
        ["Received in the last day", bytes(summary.bytes_in)],
        ["Sent in the last day", bytes(summary.bytes_out)],
        ["First seen", summary.first_seen ? <Time key="first" at={summary.first_seen} isExact /> : unknown],
        ["Last seen", summary.last_seen ? <Time key="last" at={summary.last_seen} /> : unknown],
      ]}
    />
  );
}

function Changes({ host }: { host: HostDetail }) {
  const { changes, day, day_before, activity } = host;
  const fresh = activity.peers.filter((peer) => peer.is_new).length;
  if (day_before === null)
    return (
      <p class="soft">
        No whole day before the last one is known, so there is nothing to compare with yet. In the last day it had{" "}
        {count(day.flows)} flows with {count(day.peers)} hosts, used {count(day.used_services)} services and offered{" "}
        {count(day.offered_services)}.
      </p>
    );
  return (
    <ul class={style.changes}>
      {changes.map((change) => (
        <li key={change.measure}>{told(change)}</li>
      ))}
      {fresh > 0 && <li>Talked to {count(fresh)} of its largest peers for the first time in the last day</li>}
      {changes.length === 0 && fresh === 0 && <li>Nothing became three times as much or as little from day to day</li>}
    </ul>
  );
}

function Services({ title, services }: { title: string; services: HostDetail["activity"]["ports"] }) {
  if (services.length === 0) return <p class="soft">None are known.</p>;
  return (
    <Bars
      title={title}
      bars={services.map((each) => ({
        name: `${each.name} ${each.offered ? "offered" : "used"}`,
        value: each.flows,
        words: `${count(each.flows)} flows, ${bytes(each.bytes)}`,
      }))}
    />
  );
}
