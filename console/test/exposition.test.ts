import { expect, test } from "vitest";
import { ofMetric, samplesOf, total } from "../src/pages/health/exposition";

const TEXT = `# HELP flows Flows.
# TYPE flows gauge
flows{state="taken"} 24808.0
flows{state="queued",why="a \\"b\\\\ {c} d"} 2
disk_free_bytes{folder="data"} 2.5e+10
plain 0.0
not a metric
`;

test("samples are read with their labels, and comments are not", () => {
  const samples = samplesOf(TEXT);
  expect(samples).toHaveLength(4);
  expect(samples[1]).toEqual({ name: "flows", labels: { state: "queued", why: 'a "b\\ {c} d' }, value: 2 });
  expect(ofMetric(samples, "disk_free_bytes")[0]?.value).toBe(2.5e10);
});

test("samples are summed, and what is not there is not nought", () => {
  const samples = samplesOf(TEXT);
  expect(total(samples, "flows")).toBe(24_810);
  expect(total(samples, "flows", ["state", "queued"])).toBe(2);
  expect(total(samples, "plain")).toBe(0);
  expect(total(samples, "absent")).toBeNull();
});
