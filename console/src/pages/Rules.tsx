/** Lists the rules with what they found and cost, switches them, and tries new ones on the flows of the last hours. */
import { Link, useLocation } from "wouter-preact";
import { answered, api } from "../api/client";
import type { RuleSummary } from "../api/schema";
import { may } from "../api/session";
import { count, percent } from "../parts/amounts";
import type { Column } from "../parts/DataTable";
import { FilteredList } from "../parts/FilteredList";
import { Page } from "../parts/Page";
import { Severity } from "../parts/Severity";
import { type Standing, State } from "../parts/State";
import { Empty } from "../parts/States";
import { Tabs } from "../parts/Tabs";
import { Time } from "../parts/Time";
import { Trial } from "./rules/Trial";

export const STANDING: Record<RuleSummary["state"], Standing> = {
  on: "good",
  off: "off",
  unseen: "waiting",
  refused: "bad",
};
export const WORDS: Record<RuleSummary["state"], string> = {
  on: "on",
  off: "off",
  unseen: "not read yet",
  refused: "refused",
};
/** Return what a rule is called; in titles of correlation, a variable stands for what the incidents share. */
export const titleOf = (rule: RuleSummary) => (rule.kind === "correlation" ? rule.name : rule.title || rule.name);
const FACETS = [
  { field: "state", title: "State", values: Object.entries(WORDS) as [string, string][] },
  {
    field: "kind",
    title: "Kind",
    values: [
      ["own", "own"],
      ["sigma", "Sigma"],
      ["correlation", "correlation"],
    ] as [string, string][],
  },
];
const FIELDS = ["state", "kind", "severity", "title", "file", "techniques", "hits"];

export default function Rules() {
  const tabs = [
    { key: "rules", title: "Rules", show: () => <List /> },
    ...(may("engineer") ? [{ key: "try", title: "Try a rule", show: () => <Trial /> }] : []),
  ];
  return (
    <Page title="Rules" note="Hits are those of the last 30 days; cost is what a rule takes of the time of its kind.">
      <div>
        <Tabs label="Parts of this page" tabs={tabs} />
      </div>
    </Page>
  );
}

function List() {
  const [, go] = useLocation();
  return (
    <FilteredList<RuleSummary>
      name="rules"
      order="-hits"
      ask={(query, signal) => answered(api.GET("/api/v1/rules", { params: { query }, signal }))}
      facets={FACETS}
      fields={FIELDS}
      find={{ label: "Find a rule by its title", filterOf: (word) => `title~${word}`, finds: ["title"] }}
      label="Rules"
      columns={COLUMNS}
      id={(rule) => rule.rule_id}
      open={(rule) => go(`/rules/${encodeURIComponent(rule.rule_id)}`)}
      empty={
        <Empty title="There are no such rules">
          Own rules, Sigma rules and rules of correlation lie in the folders that the settings name (detection.rules).
        </Empty>
      }
    />
  );
}

const COLUMNS: Column<RuleSummary>[] = [
  {
    key: "state",
    title: "State",
    width: "8rem",
    show: (rule) => (
      <span title={rule.reason}>
        <State standing={STANDING[rule.state]}>{WORDS[rule.state]}</State>
      </span>
    ),
  },
  {
    key: "severity",
    title: "Severity",
    width: "9rem",
    wideOnly: true,
    show: (rule) => <Severity level={rule.severity} />,
  },
  {
    key: "title",
    title: "Rule",
    show: (rule) => <Link href={`/rules/${encodeURIComponent(rule.rule_id)}`}>{titleOf(rule)}</Link>,
  },
  { key: "kind", title: "Kind", width: "7rem", wideOnly: true, show: (rule) => rule.kind },
  {
    key: "techniques",
    title: "Techniques",
    width: "10rem",
    wideOnly: true,
    show: (rule) => rule.techniques.join(", "),
  },
  { key: "hits", title: "Hits", width: "5rem", align: "right", sortable: true, show: (rule) => count(rule.hits) },
  {
    key: "last_hit",
    title: "Last hit",
    width: "8rem",
    wideOnly: true,
    show: (rule) => (rule.last_hit ? <Time at={rule.last_hit} /> : <span class="soft">none</span>),
  },
  {
    key: "cost",
    title: "Cost",
    width: "5rem",
    align: "right",
    wideOnly: true,
    show: (rule) => (rule.cost ? percent(rule.cost.share) : "–"),
  },
];
