/** Chooses one of a few values, all of them in sight. */
import { Button } from "./Button";
import style from "./Choices.module.css";

type Props<V extends string> = {
  label: string;
  values: readonly (readonly [V, string])[];
  value: V;
  choose: (value: V) => void;
};

export function Choices<V extends string>({ label, values, value, choose }: Props<V>) {
  return (
    <fieldset class={style.choices}>
      <legend class="unseen">{label}</legend>
      {values.map(([each, words]) => (
        <Button key={each} aria-pressed={each === value} onClick={() => choose(each)}>
          {words}
        </Button>
      ))}
    </fieldset>
  );
}
