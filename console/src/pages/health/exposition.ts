/** Reads metrics in the text format of Prometheus (exposition formats, version 0.0.4). */
export type Sample = { name: string; labels: Record<string, string>; value: number };

const LINE = /^([a-z_:][\w:]*)(?:\{(.*)\})?\s+([-+]?\d[\d.]*(?:e[-+]?\d+)?)(?:\s|$)/i;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED: Record<string, string> = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** Return all samples; lines that are none, such as comments, and values that are no finite number are left out. */
export function samplesOf(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    return name ? [{ name, labels: labelsOf(labels), value: Number(value) }] : [];
  });
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(LABEL)].map(([, name = "", value = ""]) => [
    name,
    value.replaceAll(/\\["n\\]/g, (pair) => ESCAPED[pair] ?? pair),
  ]);
  return Object.fromEntries(pairs);
}

/** Return the samples of a metric, those that have a label of a value where one is named. */
export function ofMetric(samples: Sample[], name: string, label?: [string, string]): Sample[] {
  return samples.filter((each) => each.name === name && (!label || each.labels[label[0]] === label[1]));
}

/** Return the sum of the samples of a metric, or null where there is none. */
export function total(samples: Sample[], name: string, label?: [string, string]): number | null {
  const found = ofMetric(samples, name, label);
  return found.length ? found.reduce((sum, each) => sum + each.value, 0) : null;
}
