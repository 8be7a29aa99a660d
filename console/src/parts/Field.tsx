/** Asks for a value: with its name, a hint, and what is wrong with it. */
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import style from "./Field.module.css";

type About = { label: string; hint?: string | undefined; problem?: string | undefined };
type TextProps = About & Omit<JSX.IntrinsicElements["input"], "label">;
type AreaProps = About & Omit<JSX.IntrinsicElements["textarea"], "label">;
type SelectProps = About &
  Omit<JSX.IntrinsicElements["select"], "label"> & { options: readonly (string | [string, string])[] };

export function Field({ label, hint, problem, ...rest }: TextProps) {
  const ids = useIds(hint, problem);
  return (
    <Labelled ids={ids} label={label} hint={hint} problem={problem}>
      <input class={style.input} {...ids.control} {...rest} />
    </Labelled>
  );
}

export function Area({ label, hint, problem, ...rest }: AreaProps) {
  const ids = useIds(hint, problem);
  return (
    <Labelled ids={ids} label={label} hint={hint} problem={problem}>
      <textarea class={style.input} {...ids.control} {...rest} />
    </Labelled>
  );
}

export function Select({ label, hint, problem, options, ...rest }: SelectProps) {
  const ids = useIds(hint, problem);
  return (
    <Labelled ids={ids} label={label} hint={hint} problem={problem}>
      <select class={style.input} {...ids.control} {...rest}>
        {options.map((option) => {
          const [value, words] = typeof option === "string" ? [option, option] : option;
          return (
            <option key={value} value={value}>
              {words}
            </option>
          );
        })}
      </select>
    </Labelled>
  );
}

type Ids = ReturnType<typeof useIds>;

function useIds(hint: string | undefined, problem: string | undefined) {
  const id = useId();
  const about = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  const control = { id, "aria-describedby": about || undefined, "aria-invalid": problem ? true : undefined };
  return { id, control };
}

function Labelled({ ids, label, hint, problem, children }: About & { ids: Ids; children: JSX.Element }) {
  return (
    <div class={style.field}>
      <label for={ids.id}>{label}</label>
      {children}
      {hint && (
        <p id={`${ids.id}-hint`} class={style.hint}>
          {hint}
        </p>
      )}
      {problem && (
        <p id={`${ids.id}-problem`} class={style.problem}>
          {problem}
        </p>
      )}
    </div>
  );
}

/** Lays fields of a form under one another, the buttons last. */
export function Form({ children, send }: { children: ComponentChildren; send: (given: FormData) => void }) {
  const submit = (event: JSX.TargetedEvent<HTMLFormElement>) => {
    event.preventDefault();
    send(new FormData(event.currentTarget));
  };
  return (
    <form class={style.form} onSubmit={submit}>
      {children}
    </form>
  );
}
