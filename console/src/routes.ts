/** Lists the pages: where each is, what it is called, and who may see it. */
import {
  Activity,
  Boxes,
  Cable,
  FileClock,
  Gauge,
  Grid3x3,
  HeartPulse,
  type LucideIcon,
  Radar,
  Radio,
  Scale,
  Server,
  Settings,
  ShieldAlert,
  Users,
  Waypoints,
} from "lucide-preact";
import { type ComponentType, lazy } from "preact/compat";

type Role = "viewer" | "engineer" | "administrator";
export type Page = {
  path: string;
  title: string;
  icon: LucideIcon;
  role: Role;
  key?: string; // pressed after g, it leads here
  show: ComponentType;
  detail?: { path: string; show: ComponentType<{ params: { id: string } }> };
};
export type Group = { title: string; pages: Page[] };

const page = <P>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> => lazy(load);

export const GROUPS: Group[] = [
  {
    title: "Watch",
    pages: [
      {
        path: "/",
        title: "Overview",
        icon: Gauge,
        role: "viewer",
        key: "o",
        show: page(() => import("./pages/Overview")),
      },
      {
        path: "/incidents",
        title: "Incidents",
        icon: ShieldAlert,
        role: "viewer",
        key: "i",
        show: page(() => import("./pages/Incidents")),
        detail: { path: "/incidents/:id", show: page(() => import("./pages/Incident")) },
      },
      {
        path: "/hosts",
        title: "Hosts",
        icon: Server,
        role: "viewer",
        key: "h",
        show: page(() => import("./pages/Hosts")),
        detail: { path: "/hosts/:id", show: page(() => import("./pages/Host")) },
      },
      {
        path: "/flows",
        title: "Flows",
        icon: Activity,
        role: "viewer",
        key: "f",
        show: page(() => import("./pages/Flows")),
      },
    ],
  },
  {
    title: "Understand",
    pages: [
      {
        path: "/attack",
        title: "ATT&CK",
        icon: Grid3x3,
        role: "viewer",
        key: "a",
        show: page(() => import("./pages/Attack")),
      },
      {
        path: "/graph",
        title: "Graph",
        icon: Waypoints,
        role: "viewer",
        key: "r",
        show: page(() => import("./pages/Graph")),
      },
      {
        path: "/intelligence",
        title: "Intelligence",
        icon: Radar,
        role: "viewer",
        key: "t",
        show: page(() => import("./pages/Intelligence")),
      },
    ],
  },
  {
    title: "Improve",
    pages: [
      {
        path: "/rules",
        title: "Rules",
        icon: Scale,
        role: "viewer",
        key: "u",
        show: page(() => import("./pages/Rules")),
        detail: { path: "/rules/:id", show: page(() => import("./pages/Rule")) },
      },
      {
        path: "/models",
        title: "Models",
        icon: Boxes,
        role: "viewer",
        key: "m",
        show: page(() => import("./pages/Models")),
        detail: { path: "/models/:id", show: page(() => import("./pages/Model")) },
      },
    ],
  },
  {
    title: "Run",
    pages: [
      {
        path: "/sensors",
        title: "Sensors",
        icon: Radio,
        role: "viewer",
        key: "s",
        show: page(() => import("./pages/Sensors")),
      },
      {
        path: "/integrations",
        title: "Integrations",
        icon: Cable,
        role: "engineer",
        show: page(() => import("./pages/Integrations")),
      },
      {
        path: "/health",
        title: "Health and jobs",
        icon: HeartPulse,
        role: "viewer",
        show: page(() => import("./pages/Health")),
      },
      {
        path: "/users",
        title: "Users and keys",
        icon: Users,
        role: "administrator",
        show: page(() => import("./pages/Users")),
      },
      {
        path: "/settings",
        title: "Settings",
        icon: Settings,
        role: "viewer",
        show: page(() => import("./pages/Settings")),
      },
      {
        path: "/audit",
        title: "Audit",
        icon: FileClock,
        role: "administrator",
        show: page(() => import("./pages/Audit")),
      },
    ],
  },
];

export const PAGES: Page[] = GROUPS.flatMap((group) => group.pages);
