/** Names who talked most, and which techniques were seen most. */
import { Link } from "wouter-preact";
import { bytes, count } from "../parts/amounts";
import { Bars } from "../parts/Bars";
import { Panel } from "../parts/Panel";
import { Shown } from "../parts/States";
import { useFigures, useTechniques } from "./asking";

const FEW = 8;

export function Talkers() {
  return (
    <Panel title="Top talkers" tools={<Link href="/hosts?order=-bytes">All hosts</Link>}>
      <Shown of={useFigures(24)} what="the top talkers">
        {({ top_talkers }) =>
          top_talkers.length === 0 ? (
            <p class="soft">No flow came in the last 24 hours.</p>
          ) : (
            <Bars
              title="Bytes of the flows that a host began, last 24 hours"
              bars={top_talkers.slice(0, FEW).map(({ address, bytes: moved }) => ({
                name: address,
                value: moved,
                words: bytes(moved),
                label: <Link href={`/hosts/${encodeURIComponent(address)}`}>{address}</Link>,
              }))}
            />
          )
        }
      </Shown>
    </Panel>
  );
}

export function Techniques() {
  return (
    <Panel title="Top techniques" tools={<Link href="/attack">ATT&CK matrix</Link>}>
      <Shown of={useTechniques(FEW)} what="the top techniques">
        {(techniques) =>
          techniques.length === 0 ? (
            <p class="soft">No incident of the last 24 hours names a technique.</p>
          ) : (
            <Bars
              title="Incidents that name a technique, last 24 hours"
              bars={techniques.map(({ id, name, incidents }) => ({
                name: `${id} ${name}`,
                value: incidents,
                words: count(incidents),
                label: (
                  <>
                    <Link href={`/attack?technique=${id}`}>{id}</Link> {name}
                  </>
                ),
              }))}
            />
          )
        }
      </Shown>
    </Panel>
  );
}
