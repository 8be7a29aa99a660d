/** Shows a threat score from 0 to 100 with the interval in which it lies nine times in ten. */
import style from "./Score.module.css";
import { levelColour } from "./Severity";

type Props = { value: number; low: number; high: number; level: string };

export function Score({ value, low, high, level }: Props) {
  const words = `threat score ${value.toFixed(0)} of 100, between ${low.toFixed(0)} and ${high.toFixed(0)} nine times in ten`;
  return (
    <span class={style.score} title={words}>
      <span class={style.value}>{value.toFixed(0)}</span>
      <svg class={`${style.scale} ${levelColour(level)}`} viewBox="0 0 100 12" role="img" aria-label={words}>
        <line x1="0" x2="100" y1="6" y2="6" class={style.line} />
        <rect x={low} width={Math.max(high - low, 1)} y="3" height="6" rx="3" class={style.interval} />
        <rect x={Math.min(value, 98)} width="3" y="0" height="12" rx="1.5" class={style.mark} />
      </svg>
    </span>
  );
}
