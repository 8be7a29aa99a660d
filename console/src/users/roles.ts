/** Says what each role may do. */
import type { NewKey } from "../api/schema";

export type Role = NewKey["role"];
export const ROLES: [Role, string][] = [
  ["viewer", "viewer: sees"],
  ["analyst", "analyst: also gives verdicts and approves responses"],
  ["engineer", "engineer: also changes rules, models and integrations"],
  ["administrator", "administrator: also manages users, keys and the audit"],
];
export const OF_PROGRAMS: [Role, string][] = [...ROLES, ["sensor", "sensor: sends events and flows, and nothing else"]];

/** So many users, keys or tenants are listed. */
export const MOST = 200;
