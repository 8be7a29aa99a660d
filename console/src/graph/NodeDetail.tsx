/** Tells what a node is, where else it is shown, and what can be done from it. */
import { Link } from "wouter-preact";
import { hostPath } from "../hosts/columns";
import { count } from "../parts/amounts";
import { Button } from "../parts/Button";
import { lookOf } from "../parts/network";
import { Severity } from "../parts/Severity";
import { ShapeMark } from "../parts/ShapeMark";
import type { GraphNode } from "./asking";
import style from "./NodeDetail.module.css";

type Props = {
  node: GraphNode;
  degree: number;
  isExpanded: boolean;
  expand: () => void;
  begin: () => void;
  from: () => void;
};

export function NodeDetail({ node, degree, isExpanded, expand, begin, from }: Props) {
  const value = bareValue(node.id);
  return (
    <section class={style.detail} aria-label="The chosen node">
      <h3 title={node.label}>
        <ShapeMark kind={node.kind} /> {node.label}
      </h3>
      <p class="soft">
        {lookOf(node.kind).word}, joined to {count(degree)}
      </p>
      <Severity level={node.level} />
      <p class={style.links}>
        {linksOf(node.kind, value).map(([href, words]) => (
          <Link key={href} href={href}>
            {words}
          </Link>
        ))}
      </p>
      <div class={style.acts}>
        <Button onClick={expand} disabled={isExpanded}>
          Expand
        </Button>
        <Button onClick={begin}>Begin here</Button>
        <Button onClick={from}>Way from here</Button>
      </div>
    </section>
  );
}

/** Return what stands behind the kind in the identity of a node. */
export function bareValue(id: string): string {
  return id.slice(id.indexOf(":") + 1);
}

/** Return where else something of a kind is shown. */
export function linksOf(kind: string, value: string): [string, string][] {
  const filter = (text: string) => encodeURIComponent(text);
  const links: Record<string, [string, string][]> = {
    host: [
      [hostPath(value), "Host"],
      [`/flows?filter=${filter(`address=${value}`)}`, "Flows"],
    ],
    address: [
      [hostPath(value), "Host"],
      [`/flows?filter=${filter(`address=${value}`)}`, "Flows"],
    ],
    name: [[`/flows?filter=${filter(`tls_server_name=${value}`)}`, "Flows by TLS"]],
    technique: [
      [`/attack?technique=${filter(value)}`, "ATT&CK"],
      [`/incidents?filter=${filter(`techniques=${value}`)}`, "Incidents"],
    ],
    incident: [[`/incidents/${filter(value)}`, "Incident"]],
    campaign: [[`/incidents?filter=${filter(`campaign_id=${value}`)}`, "Incidents"]],
  };
  return links[kind] ?? [];
}
