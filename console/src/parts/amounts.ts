/** Writes numbers as people read them. */
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const BYTES = ["B", "KB", "MB", "GB", "TB", "PB"];

export const count = (value: number) => whole.format(value);
export const brief = (value: number) => short.format(value);
export const percent = (value: number) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)}%`;

/** Return an amount of bytes in powers of a thousand. */
export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), BYTES.length - 1);
  const scaled = value / 1_000 ** power;
  return `${scaled >= 100 || power === 0 ? scaled.toFixed(0) : scaled.toFixed(1)} ${BYTES[power]}`;
}
