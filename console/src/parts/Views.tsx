/** Keeps questions to a list under names, and asks them again. */
import { useQuery } from "@tanstack/preact-query";
import { Bookmark, Trash2 } from "lucide-preact";
import { Link, useLocation } from "wouter-preact";
import { useAction } from "../api/acting";
import { answered, api } from "../api/client";
import type { components } from "../api/schema";
import { may, principal } from "../api/session";
import { Button } from "./Button";
import { Field, Form } from "./Field";
import { Menu } from "./Filters";
import { Shown } from "./States";
import style from "./Views.module.css";

type View = components["schemas"]["SavedView"];
type Asked = { filters: string[]; order: string; fields?: string[] };
type Props = { page: View["page"]; question: Asked };

export function Views({ page, question }: Props) {
  return (
    <Menu title="Views">
      <div class={style.menu}>
        <List page={page} />
        <Keep page={page} question={question} />
      </div>
    </Menu>
  );
}

function List({ page }: { page: View["page"] }) {
  const [path] = useLocation();
  const asked = useQuery({
    queryKey: ["views", page],
    queryFn: async () => {
      const query = { filter: [`page=${page}`], order: "name", limit: 200 };
      return (await answered(api.GET("/api/v1/views", { params: { query } }))).items as View[];
    },
  });
  const remove = useAction(
    (id: string) => answered(api.DELETE("/api/v1/views/{view_id}", { params: { path: { view_id: id } } })),
    { done: "The view is removed", changes: ["views"] },
  );
  return (
    <Shown of={asked} what="views">
      {(views) =>
        views.length === 0 ? (
          <p class="soft">None are kept yet.</p>
        ) : (
          <ul class={style.list}>
            {views.map((view) => (
              <li key={view.view_id}>
                <Link href={path + addressOf(view.question)} class={style.view} title={view.name} onClick={leave}>
                  <Bookmark size={13} aria-hidden="true" /> {view.name}
                </Link>
                {view.shared && <span class="soft">shared</span>}
                {view.owner === principal.value?.subject && (
                  <Button
                    kind="quiet"
                    aria-label={`Remove the view ${view.name}`}
                    title="Remove"
                    disabled={remove.isBusy}
                    onClick={() => void remove.run(view.view_id)}
                  >
                    <Trash2 size={13} />
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )
      }
    </Shown>
  );
}

/* A view that was chosen is in sight: the menu would lie over it. */
function leave(event: MouseEvent): void {
  (event.currentTarget as HTMLElement).closest("details")?.removeAttribute("open");
}

/** Return the parameters of the page that asks a question. */
function addressOf({ filters, order, fields }: View["question"]): string {
  const parameters = new URLSearchParams((filters ?? []).map((filter) => ["filter", filter]));
  if (order) parameters.set("order", order);
  if (fields?.length) parameters.set("fields", fields.join());
  return `?${parameters}`;
}

function Keep({ page, question }: Props) {
  const keep = useAction(
    (given: FormData) => {
      const body = { name: String(given.get("name")).trim(), page, question, shared: given.has("shared") };
      return answered(api.POST("/api/v1/views", { body }));
    },
    { done: "The view is kept", changes: ["views"] },
  );
  return (
    <Form send={(given) => void keep.run(given)}>
      <Field label="Keep what is shown as" name="name" maxLength={100} required problem={keep.problems.name} />
      <div class={style.last}>
        {may("engineer") && (
          <label>
            <input type="checkbox" name="shared" /> for everybody
          </label>
        )}
        <Button type="submit" disabled={keep.isBusy}>
          Keep
        </Button>
      </div>
    </Form>
  );
}
