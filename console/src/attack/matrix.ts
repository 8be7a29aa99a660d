/** Arranges techniques of ATT&CK as the matrix shows them, and writes them as a layer of the ATT&CK Navigator. */
import type { components } from "../api/schema";

export type AttackMatrix = components["schemas"]["AttackMatrix"];
export type Technique = AttackMatrix["techniques"][number];
export type Layer = "seen" | "covered" | "gaps";
/** A technique in the matrix: with its parts, and what they have together with it. */
export type Cell = { technique: Technique; parts: Technique[]; incidents: number; detectors: number; isPart: boolean };

/** Return the parts of each technique. */
export function partsOf(techniques: Technique[]): Map<string, Technique[]> {
  const found = new Map<string, Technique[]>();
  for (const each of techniques) {
    if (each.parent) found.set(each.parent, [...(found.get(each.parent) ?? []), each]);
  }
  return found;
}

/** Return a technique with what it and its parts have: an incident that names two of them counts twice. */
export function cellOf(technique: Technique, parts: Technique[]): Cell {
  const all = [technique, ...parts];
  return {
    technique,
    parts,
    incidents: all.reduce((sum, each) => sum + each.incidents, 0),
    detectors: new Set(all.flatMap((each) => each.detectors)).size,
    isPart: technique.parent !== null,
  };
}

export type Asked = { find: string; isAll: boolean; open: ReadonlySet<string> };

/** Return the cells of each tactic, in the order of the matrix: parts after the technique that is folded out. */
export function columns({ tactics, techniques }: AttackMatrix, { find, isAll, open }: Asked): Cell[][] {
  const parts = partsOf(techniques);
  const cells = techniques.filter((each) => !each.parent).map((each) => cellOf(each, parts.get(each.id) ?? []));
  const kept = cells.filter((cell) => (isAll || cell.incidents > 0 || cell.detectors > 0) && isFound(cell, find));
  return tactics.map(({ tactic }) =>
    kept.filter(({ technique }) => technique.tactics.includes(tactic)).flatMap((cell) => unfolded(cell, tactic, open)),
  );
}

function unfolded(cell: Cell, tactic: string, open: ReadonlySet<string>): Cell[] {
  if (!open.has(cell.technique.id)) return [cell];
  return [cell, ...cell.parts.filter((part) => part.tactics.includes(tactic)).map((part) => cellOf(part, []))];
}

function isFound({ technique, parts }: Cell, find: string): boolean {
  const part = find.trim().toLowerCase();
  return [technique, ...parts].some((each) => `${each.id} ${each.name}`.toLowerCase().includes(part));
}

/** Return how strongly a technique is coloured by its incidents: 0 for none, to 4 by powers. */
export function heat(incidents: number): number {
  return incidents === 0 ? 0 : Math.min(4, 1 + Math.floor(Math.log2(incidents) / 2));
}

/** Return what a layer says of a cell, in a few words. */
export function words(cell: Cell, layer: Layer): string {
  if (layer === "seen") return cell.incidents ? `${cell.incidents} ${one(cell.incidents, "incident")}` : "not seen";
  if (cell.detectors === 0) return "no detector";
  return `${cell.detectors} ${one(cell.detectors, "detector")}`;
}

const one = (number: number, word: string) => (number === 1 ? word : `${word}s`);

/** Return a layer for the ATT&CK Navigator (layer format 4.5). */
export function navigatorLayer(matrix: AttackMatrix, layer: Layer) {
  const scored = matrix.techniques.map((each) => ({
    techniqueID: each.id,
    score: layer === "seen" ? each.incidents : each.detectors.length,
    comment: each.detectors.join(", "),
    enabled: true,
  }));
  const isTold = (score: number) => (layer === "gaps" ? score === 0 : score > 0);
  return {
    name: `InfraSpectre: ${layer}`,
    versions: { attack: matrix.version, layer: "4.5", navigator: "5.1.0" },
    domain: "enterprise-attack",
    description: layer === "seen" ? `Incidents since ${matrix.start}` : "Detectors that can name each technique",
    techniques: scored.filter(({ score }) => isTold(score)),
    gradient: {
      colors: ["#ffffff", "#3a49c9"],
      minValue: 0,
      maxValue: Math.max(1, ...scored.map(({ score }) => score)),
    },
  };
}
