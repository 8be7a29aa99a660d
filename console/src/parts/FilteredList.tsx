/** Shows a list that is filtered and sorted by the address of the page, and read page by page. */
import { usePages } from "../api/pages";
import { useQuestion } from "./address";
import { DataTable } from "./DataTable";
import { Filters } from "./Filters";
import { TableFrame } from "./TableFrame";

type Query = { filter: string[]; order: string; limit: number; after?: string };
type Table<Row> = Parameters<typeof DataTable<Row>>[0];
type Props<Row> = Pick<Table<Row>, "label" | "columns" | "id" | "open" | "empty"> &
  Pick<Parameters<typeof Filters>[0], "facets" | "fields" | "find"> & {
    /** Names the list among all that were asked for. */
    name: string;
    /** The field by which it is sorted until somebody says otherwise. */
    order: string;
    ask: (query: Query, signal: AbortSignal) => Promise<{ items: Partial<Row>[]; next?: string | null }>;
  };

const PAGE = 200;

export function FilteredList<Row>({ name, order, ask, facets, fields, find, ...table }: Props<Row>) {
  const [question, change] = useQuestion({ filters: [], order });
  const list = usePages([name, question], async (after, signal) => {
    const page = await ask(
      { filter: question.filters, order: question.order, limit: PAGE, ...(after && { after }) },
      signal,
    );
    return { ...page, items: page.items as Row[] }; // no fields were chosen, so that all are there
  });
  return (
    <>
      <Filters
        filters={question.filters}
        change={(filters, isTyped) => change({ filters }, isTyped)}
        facets={facets}
        fields={fields}
        find={find}
      />
      <TableFrame>
        <DataTable list={list} order={question.order} onOrder={(by) => change({ order: by })} isMain {...table} />
      </TableFrame>
    </>
  );
}
