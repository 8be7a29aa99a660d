/** Shows the ATT&CK matrix: what was seen, what is covered, and where the gaps are. */
import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { Download } from "lucide-preact";
import { useMemo, useState } from "preact/hooks";
import { answered, api } from "../api/client";
import { useRefresh } from "../api/following";
import style from "../attack/Attack.module.css";
import { Grid } from "../attack/Grid";
import { type AttackMatrix, columns, type Layer, navigatorLayer } from "../attack/matrix";
import { TacticList } from "../attack/TacticList";
import { TechniqueSheet } from "../attack/TechniqueSheet";
import { Button } from "../parts/Button";
import { Choices } from "../parts/Choices";
import { keepFile } from "../parts/files";
import { isNarrow } from "../parts/narrow";
import { Page } from "../parts/Page";
import { useParameters } from "../parts/parameters";
import { Empty, Shown } from "../parts/States";

const LAYERS = [
  ["seen", "Seen"],
  ["covered", "Covered"],
  ["gaps", "Gaps"],
] as const;
const DAYS = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "1 year"],
] as const;
type Days = (typeof DAYS)[number][0];

export default function Attack() {
  const [parameters, put] = useParameters();
  const days = (DAYS.find(([each]) => each === parameters.get("days"))?.[0] ?? "30") as Days;
  const layer = (LAYERS.find(([each]) => each === parameters.get("layer"))?.[0] ?? "seen") as Layer;
  const asked = useQuery({
    queryKey: ["attack", days],
    queryFn: () => answered(api.GET("/api/v1/attack", { params: { query: { days: Number(days) } } })),
    placeholderData: keepPreviousData,
  });
  useRefresh(["threat"], ["attack"]);
  return (
    <Page
      title="ATT&CK"
      note={asked.data ? summary(asked.data, days) : "What was seen, what is covered, and where the gaps are"}
      tools={asked.data && <Export matrix={asked.data} layer={layer} />}
    >
      <div class={style.choices}>
        <Choices label="Layer" values={LAYERS} value={layer} choose={(each) => put({ layer: each })} />
        <Choices label="Time" values={DAYS} value={days} choose={(each) => put({ days: each })} />
        <input
          type="search"
          class={style.find}
          aria-label="Find a technique"
          placeholder="Find a name or id"
          value={parameters.get("find") ?? ""}
          onInput={(event) => put({ find: event.currentTarget.value }, true)}
        />
        <label class={style.all}>
          <input
            type="checkbox"
            checked={parameters.has("all")}
            onChange={(event) => put({ all: event.currentTarget.checked ? "1" : null })}
          />{" "}
          Also what is neither seen nor covered
        </label>
      </div>
      <Shown of={asked} what="the matrix">
        {(matrix) => <Matrix matrix={matrix} layer={layer} />}
      </Shown>
    </Page>
  );
}

function Matrix({ matrix, layer }: { matrix: AttackMatrix; layer: Layer }) {
  const [parameters, put] = useParameters();
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const find = parameters.get("find") ?? "";
  const isAll = parameters.has("all") || layer === "gaps" || find !== "";
  const fold = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  const select = (id: string) => put({ technique: id }, true);
  const chosen = matrix.techniques.find((each) => each.id === parameters.get("technique"));
  const unfolded = useMemo(() => (chosen?.parent ? new Set([...open, chosen.parent]) : open), [open, chosen]);
  const cells = useMemo(() => columns(matrix, { find, isAll, open: unfolded }), [matrix, find, isAll, unfolded]);
  const shown = { tactics: matrix.tactics, columns: cells, layer, select };
  if (cells.every((each) => each.length === 0))
    return <Empty title="No technique is like that">Find another word.</Empty>;
  return (
    <>
      {isNarrow.value ? (
        <TacticList {...shown} />
      ) : (
        <Grid {...shown} open={unfolded} fold={fold} selected={chosen?.id ?? null} />
      )}
      {chosen && (
        <TechniqueSheet
          matrix={matrix}
          technique={chosen}
          select={select}
          close={() => put({ technique: null }, true)}
        />
      )}
    </>
  );
}

function summary({ techniques, version }: AttackMatrix, days: string): string {
  const seen = techniques.filter((each) => each.incidents > 0).length;
  const covered = techniques.filter((each) => each.detectors.length > 0).length;
  return `Version ${version}: ${seen} techniques seen in ${DAYS.find(([each]) => each === days)?.[1]}, ${covered} of ${techniques.length} covered by detectors`;
}

function Export({ matrix, layer }: { matrix: AttackMatrix; layer: Layer }) {
  const keep = () => {
    const text = JSON.stringify(navigatorLayer(matrix, layer), null, 2);
    keepFile(`attack-${layer}.json`, "application/json", text);
  };
  return (
    <Button onClick={keep}>
      <Download size={14} aria-hidden="true" /> Navigator layer
    </Button>
  );
}
