/** Shows one of several parts of a page; which one stands in the address. */
import type { ComponentChildren } from "preact";
import { Link, useLocation, useSearch } from "wouter-preact";
import style from "./Tabs.module.css";

export type Tab = { key: string; title: string; show: () => ComponentChildren };

export function Tabs({ label, tabs }: { label: string; tabs: Tab[] }) {
  const [path] = useLocation();
  const asked = new URLSearchParams(useSearch()).get("tab");
  const shown = tabs.find((tab) => tab.key === asked) ?? tabs[0];
  return (
    <>
      <nav class={style.tabs} aria-label={label}>
        {tabs.map((tab) => (
          <Link
            key={tab.key}
            href={`${path}?tab=${tab.key}`}
            class={style.tab}
            aria-current={tab === shown ? "true" : undefined}
          >
            {tab.title}
          </Link>
        ))}
      </nav>
      {shown?.show()}
    </>
  );
}
