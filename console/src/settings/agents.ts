/** Tells browsers by how they call themselves. */

/** In the order in which they are looked for: those that also bear the names of others come first. */
const BROWSERS: [RegExp, string][] = [
  [/\bEdg\/(\d+)/, "Edge"],
  [/\bOPR\/(\d+)/, "Opera"],
  [/\bFirefox\/(\d+)/, "Firefox"],
  [/Chrome\/(\d+)/, "Chrome"],
  [/\bVersion\/(\d+)\S* .*Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Macintosh/, "macOS"],
  [/Linux/, "Linux"],
];
const MOST_SIGNS = 40;

/** Return the browser and the system that an agent says it is; of another program the beginning of what it says. */
export function programOf(agent: string): string {
  if (!agent) return "not known";
  for (const [pattern, name] of BROWSERS) {
    const version = pattern.exec(agent)?.[1];
    if (!version) continue;
    const system = SYSTEMS.find(([each]) => each.test(agent))?.[1];
    return `${name} ${version}${system ? ` on ${system}` : ""}`;
  }
  return agent.length > MOST_SIGNS ? `${agent.slice(0, MOST_SIGNS - 1)}…` : agent;
}
