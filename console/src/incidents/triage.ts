/** Lets people triage by keys: 1, 2 and 3 choose a verdict, Enter gives it, and the next incident is up. */
import { useState } from "preact/hooks";
import { may } from "../api/session";
import { useKeys } from "../keyboard";
import type { Incident } from "./asking";
import type { Mark } from "./columns";
import { useJudge, VERDICTS } from "./verdicts";

type Triage = {
  current: string | undefined;
  setCurrent: (id: string) => void;
  mark: Mark;
  /** Gives the verdict that was chosen for the current incident, or answers false where none was. */
  give: () => boolean;
};

export function useTriage(rows: Incident[]): Triage {
  const [current, setCurrent] = useState<string>();
  const [mark, setMark] = useState<Mark>(null);
  const judge = useJudge();
  const place = rows.findIndex((row) => row.incident_id === current);
  const choose = (verdict: (typeof VERDICTS)[number]["verdict"]) => {
    const row = rows[place];
    if (row && may("analyst")) setMark({ id: row.incident_id, verdict });
  };
  const keyed = VERDICTS.flatMap(({ key, verdict }) => (key ? [[key, () => choose(verdict)] as const] : []));
  useKeys({ ...Object.fromEntries(keyed), Escape: () => setMark(null) });
  const give = () => {
    const row = rows[place];
    if (!mark || !row || row.incident_id !== mark.id) return false;
    setMark(null);
    setCurrent((rows[place + 1] ?? row).incident_id);
    void judge(row, mark.verdict);
    return true;
  };
  return { current, setCurrent, mark: mark?.id === current ? mark : null, give };
}
