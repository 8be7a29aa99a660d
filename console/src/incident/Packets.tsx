/** Shows which packets of the incident there are, asks sensors for them, and lets them be downloaded. */
import { Download, Radio } from "lucide-preact";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { EvidenceStatus } from "../api/schema";
import { may } from "../api/session";
import { bytes, count } from "../parts/amounts";
import { Button } from "../parts/Button";
import { CopyText } from "../parts/CopyText";
import { keepBlob } from "../parts/files";
import { KeyValue } from "../parts/KeyValue";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { Time } from "../parts/Time";
import { KEY, usePackets } from "./asking";
import style from "./Packets.module.css";

const STATES: Record<EvidenceStatus["state"], string> = {
  none: "Nobody has asked sensors for the packets behind this incident yet.",
  waiting: "Sensors are being asked for the packets.",
  complete: "All packets that sensors were asked for are there.",
  partial: "There are packets, but some may be missing.",
  missing: "No sensor has any of the packets.",
  failed: "The packets could not be had.",
};

export function Packets({ id }: { id: string }) {
  const asked = usePackets(id);
  return (
    <Panel title="Packets" note="what was said, as sensors with a ring of packets kept it">
      <Shown of={asked} what="the packets">
        {(found) => (
          <>
            <p role="status">{STATES[found.state]}</p>
            <Reasons reasons={found.reasons} />
            {found.sha256 && (
              <>
                <KeyValue rows={factsOf(found)} />
                <p class={style.hash}>
                  SHA-256 <CopyText text={found.sha256} label="the hash" />
                </p>
              </>
            )}
            {may("analyst") && <Tools found={found} />}
          </>
        )}
      </Shown>
    </Panel>
  );
}

function Reasons({ reasons }: { reasons: string[] }) {
  if (reasons.length === 0) return null;
  return (
    <ul class={`${style.reasons} soft`}>
      {reasons.map((reason) => (
        <li key={reason}>{reason}</li>
      ))}
    </ul>
  );
}

const factsOf = (found: EvidenceStatus): [string, preact.ComponentChildren][] => [
  ["Packets", `${count(found.packets)}, ${bytes(found.bytes)}`],
  ["From sensors", found.sensors.flatMap((each) => (each.packets > 0 ? [each.sensor] : [])).join(", ")],
  ["Collected", found.collected_at && <Time at={found.collected_at} />],
  ["Removed", found.expires_at && <Time at={found.expires_at} />],
];

function Tools({ found }: { found: EvidenceStatus }) {
  const id = found.incident_id;
  const params = { path: { incident_id: id } };
  const ask = useAction(() => answered(api.POST("/api/v1/incidents/{incident_id}/evidence", { params })), {
    changes: [KEY],
  });
  const download = useAction(async () => {
    const path = "/api/v1/incidents/{incident_id}/evidence/packets";
    keepBlob(`incident-${id}.pcapng`, (await answered(api.GET(path, { params, parseAs: "blob" }))) as unknown as Blob);
  });
  return (
    <div class={style.tools}>
      <Button disabled={ask.isBusy || found.state === "waiting"} onClick={() => void ask.run(undefined)}>
        <Radio size={15} aria-hidden="true" /> {found.state === "none" ? "Ask sensors" : "Ask sensors again"}
      </Button>
      {found.sha256 && (
        <Button disabled={download.isBusy} onClick={() => void download.run(undefined)}>
          <Download size={15} aria-hidden="true" /> Download the packets
        </Button>
      )}
      <span class="soft">Packets are personal data: whoever downloads them is written down.</span>
    </div>
  );
}
