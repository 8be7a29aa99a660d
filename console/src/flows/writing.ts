/** Writes flows that were read as files to take along. */
import type { Flow, Value } from "./columns";

/** What spreadsheets take for the beginning of a formula (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r]/;

/** Return rows as CSV (RFC 4180) with a head; texts that look like formulas begin with an apostrophe. */
export function csv(rows: Flow[], fields: string[]): string {
  const lines = [fields, ...rows.map((row) => fields.map((field) => cell(row[field])))];
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

function cell(value: Value): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = Array.isArray(value) ? value.join(" ") : String(value);
  return FORMULA.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows as JSON lines. */
export function jsonLines(rows: Flow[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}
