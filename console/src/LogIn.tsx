/** Lets people in. */
import { useState } from "preact/hooks";
import { logIn } from "./api/session";
import style from "./LogIn.module.css";
import { Button } from "./parts/Button";

export function LogIn() {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(given.get(name) ?? "");
    setBusy(true);
    setProblem((await logIn(text("user"), text("password"), text("tenant"))) ?? "");
    setBusy(false);
  };
  return (
    <main class={style.page}>
      <form class={style.form} onSubmit={(event) => void send(event as unknown as SubmitEvent)}>
        <img src="/console/icon.svg" alt="" width="40" height="40" />
        <h1>InfraSpectre</h1>
        <label>
          User
          <input name="user" autocomplete="username" required maxLength={64} />
        </label>
        <label>
          Password
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        <details>
          <summary>Another tenant</summary>
          <label>
            Tenant
            <input name="tenant" placeholder="default" maxLength={64} />
          </label>
        </details>
        <p role="alert" class={style.problem}>
          {problem}
        </p>
        <Button kind="main" type="submit" disabled={isBusy}>
          Log in
        </Button>
      </form>
    </main>
  );
}
