// A table of rows with one height each: sorted by its headers, and of long ones only the rows in sight are in the page.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useGrowing } from "./use_store.ts";

export interface Column<Item> {
  readonly id: string;
  readonly title: string;
  readonly cell: (item: Item) => ComponentChildren;
  /** Numbers are aligned to the right. */
  readonly align?: "right";
  /** Its width as a track of a grid: `minmax(120px, 2fr)`. */
  readonly width: string;
  /** By what it sorts; without it the column does not. Null sorts last. */
  readonly sortBy?: (item: Item) => string | number | null;
  /** On a narrow screen it has no heading of its own. */
  readonly isPlain?: boolean;
  /** Its title is only for screen readers. */
  readonly hasHiddenTitle?: boolean;
}

/** The buttons of each row. */
export function actionColumn<Item>(cell: (item: Item) => ComponentChildren): Column<Item> {
  return {
    id: "actions",
    title: "Actions",
    hasHiddenTitle: true,
    width: "4.8rem",
    align: "right",
    isPlain: true,
    cell,
  };
}

/** `name`, or `-name` for descending. */
export type Sorting = string;

interface TableProps<Item> {
  readonly label: string;
  readonly columns: readonly Column<Item>[];
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
  readonly rowHeight: number;
  /** Each row as a card. */
  readonly isNarrow: boolean;
  readonly rowClass?: (item: Item) => string;
  /** A shorter one is whole in the page, so that the browser's search finds everything. */
  readonly wholeUntil?: number;
}

const WHOLE_UNTIL = 100;
const BEYOND = 8;
/** Drawn in one task. */
const AT_ONCE = 10;

export function Table<Item>(props: TableProps<Item>): JSX.Element {
  const { label, columns, items, keyOf, rowHeight, isNarrow, rowClass, wholeUntil = WHOLE_UNTIL } = props;
  const body = useRef<HTMLDivElement>(null);
  const { from, to } = useInSight(body, items.length, rowHeight, wholeUntil);
  const grid = { gridTemplateColumns: columns.map(({ width }) => width).join(" ") };
  return (
    <div class={isNarrow ? "table narrow" : "table"} role="table" aria-label={label} aria-rowcount={items.length + 1}>
      {isNarrow ? <NarrowHead {...props} /> : <Head {...props} grid={grid} />}
      <div
        class="rows"
        role="rowgroup"
        ref={body}
        style={{ height: `${items.length * rowHeight}px`, "--row": `${rowHeight}px` }}
      >
        {items.slice(from, to).map((item, index) => (
          <div
            class={`row ${rowClass?.(item) ?? ""}`}
            role="row"
            key={keyOf(item)}
            aria-rowindex={from + index + 2}
            style={{ ...(isNarrow ? {} : grid), top: `${(from + index) * rowHeight}px` }}
          >
            {columns.map(({ id, title, align, cell, isPlain }) => (
              <div class={`cell ${id} ${align ?? ""}`} role="cell" key={id}>
                {isNarrow && isPlain !== true && (
                  <span class="caption" key="caption">
                    {title}
                  </span>
                )}
                {cell(item)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function Head<Item>({
  columns,
  sorting,
  onSort,
  grid,
}: TableProps<Item> & { grid: Record<string, string> }): JSX.Element {
  return (
    <div class="head" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1} style={grid}>
        {columns.map((column) => (
          <div
            class={`cell ${column.id} ${column.align ?? ""}`}
            role="columnheader"
            key={column.id}
            aria-sort={column.sortBy === undefined ? undefined : directionOf(column.id, sorting)}
          >
            {column.sortBy === undefined ? (
              <span class={column.hasHiddenTitle === true ? "only-read" : ""}>{column.title}</span>
            ) : (
              <button type="button" class="sort" onClick={() => onSort(turned(column.id, sorting))}>
                {column.title}
              </button>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

/** A narrow table has no headings to click on. */
function NarrowHead<Item>({ columns, sorting, onSort }: TableProps<Item>): JSX.Element {
  const sortable = columns.filter(({ sortBy }) => sortBy !== undefined);
  return (
    <div class="head" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1}>
        <div role="columnheader" class="cell">
          <label class="field-inline">
            <span>Sort by</span>
            <select value={sorting} onChange={(event) => onSort(event.currentTarget.value)}>
              {sortable.flatMap(({ id, title }) => [
                <option key={id} value={id}>{`${title}, ascending`}</option>,
                <option key={`-${id}`} value={`-${id}`}>{`${title}, descending`}</option>,
              ])}
            </select>
          </label>
        </div>
      </div>
    </div>
  );
}

/** The rows that the window shows, and a few beyond. */
function useInSight(
  body: { readonly current: HTMLElement | null },
  count: number,
  rowHeight: number,
  wholeUntil: number,
) {
  const [sight, setSight] = useState({ from: 0, to: AT_ONCE });
  const isWhole = count <= wholeUntil;
  const grown = useGrowing(isWhole ? count : 0, AT_ONCE);
  // After the first drawing, which would otherwise include its layout.
  useEffect(() => {
    if (isWhole) return undefined;
    let isPending = false;
    const look = (): void => {
      isPending = false;
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / rowHeight) - BEYOND);
      const to = Math.ceil((innerHeight - top) / rowHeight) + BEYOND;
      setSight((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    const onScroll = (): void => {
      if (!isPending) requestAnimationFrame(look);
      isPending = true;
    };
    look();
    addEventListener("scroll", onScroll, { passive: true });
    addEventListener("resize", onScroll);
    return () => {
      removeEventListener("scroll", onScroll);
      removeEventListener("resize", onScroll);
    };
  }, [isWhole, rowHeight, body]);
  return isWhole ? { from: 0, to: grown } : sight;
}

function directionOf(id: string, sorting: Sorting): "ascending" | "descending" | "none" {
  if (sorting === id) return "ascending";
  return sorting === `-${id}` ? "descending" : "none";
}

function turned(id: string, sorting: Sorting): Sorting {
  return sorting === id ? `-${id}` : id;
}
