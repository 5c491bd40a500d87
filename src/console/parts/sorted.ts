// Sorts rows by a column of their table. Rows without a value come last in both directions.
import { compareTexts, countingKey } from "../../base/order.ts";
import type { Column, Sorting } from "./table.tsx";

export function sorted<Item>(
  items: readonly Item[],
  columns: readonly Pick<Column<Item>, "id" | "sortBy">[],
  sorting: Sorting,
): readonly Item[] {
  const isDown = sorting.startsWith("-");
  const sortBy = columns.find(({ id }) => id === sorting.replace(/^-/, ""))?.sortBy;
  if (sortBy === undefined) return items;
  const keyed = items.map((item) => {
    const value = sortBy(item);
    return { item, key: typeof value === "string" ? countingKey(value) : value };
  });
  return keyed.toSorted((a, b) => compareKeys(a.key, b.key, isDown)).map(({ item }) => item);
}

function compareKeys(a: string | number | null, b: string | number | null, isDown: boolean): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : compareTexts(String(a), String(b));
  return isDown ? -order : order;
}
