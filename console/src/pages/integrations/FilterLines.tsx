/** Asks of which events a receiver is told. */
import { Area } from "../../parts/Field";

export function FilterLines({ problem }: { problem: string | undefined }) {
  return (
    <Area
      name="filters"
      label="Filters"
      rows={2}
      hint="One a line, such as severity>=high; all must hold"
      problem={problem}
    />
  );
}
