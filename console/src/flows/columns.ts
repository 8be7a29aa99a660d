/** Knows the columns of flows: how each is compared, its unit, and how its values are written. */
import { bytes, count } from "../parts/amounts";
import { exact } from "../parts/Time";
import known from "./columns.json";

export type Kind = "text" | "texts" | "integer" | "real";
export type FlowColumn = { name: string; kind: Kind | null; group: string; unit: string; meaning: string };
export type Value = string | number | boolean | null | undefined | (string | number)[];
export type Flow = { flow_id: string } & Record<string, Value>;

export const COLUMNS = known as FlowColumn[];
const BY_NAME = new Map(COLUMNS.map((column) => [column.name, column]));

/** Asks for a host on either side; no flow has it as a column. */
export const ADDRESS: FlowColumn = {
  name: "address",
  kind: "texts",
  group: "identity",
  unit: "",
  meaning: "address of the host on either side",
};

export const USUAL_FIELDS = [
  "started_at",
  "orig_ip",
  "resp_ip",
  "resp_port",
  "app_protocol",
  "tls_server_name",
  "duration_ms",
  "orig_bytes",
  "resp_bytes",
];

export function columnNamed(name: string): FlowColumn | undefined {
  return name === ADDRESS.name ? ADDRESS : BY_NAME.get(name);
}

const TITLES: Record<string, string> = {
  address: "Host on either side",
  app_protocol: "Application",
  dns_queries: "DNS queries",
  duration_ms: "Duration",
  ended_at: "Ended (UTC)",
  flow_id: "Flow",
  http_hosts: "HTTP hosts",
  orig_bytes: "Sent",
  orig_ip: "From",
  orig_port: "From port",
  resp_bytes: "Received",
  resp_ip: "To",
  resp_port: "Port",
  started_at: "Started (UTC)",
  tcp_state: "TCP state",
  tls_server_name: "TLS server name",
};

const SHORT = /^(dns|ftp|http|icmp|id|ip|ja3|ja4|mac|ntp|quic|rtt|sni|smb|smtp|ssh|ssl|tcp|tls|ttl|udp|uri|vlan)$/;
const SIDES: Record<string, string> = { orig: "source", resp: "destination" };

/** Return how a column is called in heads and forms. */
export function titleOf(name: string): string {
  if (TITLES[name]) return TITLES[name];
  const words = name.split("_").map((word) => SIDES[word] ?? (SHORT.test(word) ? word.toUpperCase() : word));
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function isTime(name: string): boolean {
  return name === "started_at" || name === "ended_at";
}

export function isNumber(column: FlowColumn): boolean {
  return (column.kind === "integer" || column.kind === "real") && !isTime(column.name) && column.name !== "flow_id";
}

/** Return a value as people read it; an empty text where none is known. */
export function written(name: string, value: Value): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value !== "number") return isTime(name) ? exact(String(value)).replace(" UTC", "") : String(value);
  return measured(name, value);
}

function measured(name: string, value: number): string {
  const unit = columnNamed(name)?.unit ?? "";
  if (unit === "bytes") return bytes(value);
  if (unit === "ms") return milliseconds(value);
  if (/port$|vlan$|^ip_version$/.test(name)) return String(value);
  const text = Number.isInteger(value) ? count(value) : value.toPrecision(4);
  return unit ? `${text} ${unit}` : text;
}

/** Return a duration in the unit in which it is short. */
export function milliseconds(value: number): string {
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 1_000) return `${value.toFixed(0)} ms`;
  if (value < 60_000) return `${(value / 1_000).toFixed(1)} s`;
  return value < 3_600_000 ? `${(value / 60_000).toFixed(1)} min` : `${(value / 3_600_000).toFixed(1)} h`;
}
