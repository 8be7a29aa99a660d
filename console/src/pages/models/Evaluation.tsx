/** Shows what an evaluation found: which labels are taken for which, and how far probabilities hold. */
import type { ModelCard } from "../../api/schema";
import { count, percent } from "../../parts/amounts";
import { KeyValue } from "../../parts/KeyValue";
import { Panel } from "../../parts/Panel";
import { type Column, Rows } from "../../parts/Rows";
import style from "../Model.module.css";

export function Evaluation({ card }: { card: ModelCard }) {
  const files = card.subject.data.map((each) => each.name).join(", ");
  return (
    <Panel
      title="Evaluation"
      note={`on ${count(card.rows)} rows, ${count(card.hostile_rows)} of them hostile: ${files}`}
    >
      <div class={style.card}>
        <Confusion confusion={card.confusion} />
        <Calibration calibration={card.calibration} />
      </div>
    </Panel>
  );
}

type Told = ModelCard["confusion"];
type Line = { label: string; told: Record<string, number> };

function Confusion({ confusion }: { confusion: Told }) {
  const rows = Object.entries(confusion).map(([label, told]): Line => ({ label, told }));
  const given = [...new Set(rows.flatMap((row) => [row.label, ...Object.keys(row.told)]))];
  const columns: Column<Line>[] = [
    { title: "Label", show: (row) => <strong>{row.label}</strong> },
    ...given.map((label): Column<Line> => ({ title: `Told ${label}`, align: "right", show: cellOf(label) })),
  ];
  return (
    <Rows
      caption="Confusion matrix: rows by their label, and by the label that the model gave"
      rows={rows}
      columns={columns}
      keyOf={(row) => row.label}
      empty="No row was judged"
    />
  );
}

const cellOf = (label: string) => (row: Line) => {
  const rows = count(row.told[label] ?? 0);
  return label === row.label ? <strong>{rows}</strong> : rows;
};

const share = (value: number | null) => (value === null ? "–" : percent(value));
const BINS: Column<ModelCard["calibration"]["bins"][number]>[] = [
  { title: "Probability told, mean", show: (each) => percent(each.predicted) },
  { title: "Really hostile", align: "right", show: (each) => percent(each.observed) },
  { title: "Rows", align: "right", show: (each) => count(each.rows) },
];

function Calibration({ calibration }: { calibration: ModelCard["calibration"] }) {
  return (
    <>
      <KeyValue
        rows={[
          ["Calibration error", share(calibration.expected_error)],
          ["Brier score", calibration.brier_score?.toFixed(4) ?? "–"],
          ["Within their interval", share(calibration.interval_coverage)],
        ]}
      />
      <Rows
        caption="Calibration: probabilities that were told, and what came true"
        rows={calibration.bins}
        columns={BINS}
        keyOf={(each) => String(each.predicted)}
        empty="No probability was told"
      />
    </>
  );
}
