/** Names who acted and who was acted upon. */
import { Link } from "wouter-preact";
import { Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import type { Asset, Story } from "./asking";
import style from "./Hosts.module.css";

export function Hosts({ story }: { story: Story }) {
  const others = story.entity_count - new Set([...story.orig, ...story.resp]).size;
  return (
    <Panel title="Who">
      <div class={style.both}>
        <Side title="Acted" addresses={story.orig} assets={story.assets} />
        <Side title="Was acted upon" addresses={story.resp} assets={story.assets} />
      </div>
      {others > 0 && <p class="soft">and {others} more; the graph shows them</p>}
    </Panel>
  );
}

type SideProps = { title: string; addresses: string[]; assets: Record<string, Asset> };

function Side({ title, addresses, assets }: SideProps) {
  if (addresses.length === 0) return null;
  return (
    <div>
      <h3 class={style.side}>{title}</h3>
      <ul class={style.hosts}>
        {addresses.map((address) => (
          <li key={address}>
            <Link href={`/hosts/${encodeURIComponent(address)}`} class="even">
              {address}
            </Link>
            <About asset={assets[address]} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function About({ asset }: { asset: Asset | undefined }) {
  if (!asset) return null;
  const words = [asset.name ?? asset.seen_name, ...asset.roles, ...asset.seen_roles, asset.owner].filter(Boolean);
  return (
    <>
      {words.length > 0 && <span class="soft">{words.join(", ")}</span>}
      {asset.criticality && <Severity level={asset.criticality} />}
    </>
  );
}
