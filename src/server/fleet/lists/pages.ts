// Pages of a list in a stable order: a page begins behind the last entry of the one before, whatever changed in between.
import { z } from "zod";
import { CourierError } from "../../../base/errors.ts";
import { firstNotBefore } from "../../../base/order.ts";

type Key = readonly (string | number)[];

/** An order of a list. */
export interface Order<Item> {
  /** Its name in `?sort=`. */
  readonly name: string;
  /** Different for each item; compared part by part. */
  readonly keyOf: (item: Item) => Key;
  /** The first part of the key counts downwards. */
  readonly isDescending?: boolean;
}

export interface Paging {
  readonly limit: number;
  /** The cursor that the page before returned. */
  readonly after?: string | undefined;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** The cursor of the next page; null: this is the last one. */
  readonly next: string | null;
}

/** Bun reads at most 16 KiB of a request's head. A name of a thousand characters, each of which may take six, needs half of it. */
export const CURSOR_CHARACTERS = 15_000;
const Cursor = z.tuple([z.string(), z.array(z.union([z.string(), z.number()])).max(4)]);

/**
 * @param items in this order
 * @throws CourierError `invalid` when the cursor is not of this list and order
 */
export function pageOf<Item>(
  items: readonly Item[],
  order: Order<Item>,
  isWanted: (item: Item) => boolean,
  { limit, after }: Paging,
): Page<Item> {
  const page: Item[] = [];
  for (let index = after === undefined ? 0 : placeAfter(items, order, readCursor(after, order)); ; index++) {
    const item = items[index];
    if (item === undefined) return { items: page, next: null };
    if (!isWanted(item)) continue;
    const last = page.at(-1);
    if (page.length === limit && last !== undefined) return { items: page, next: cursorOf(last, order) };
    page.push(item);
  }
}

export function inOrder<Item>(items: readonly Item[], order: Order<Item>): readonly Item[] {
  const keys = new Map(items.map((item) => [item, order.keyOf(item)]));
  return items.toSorted((a, b) => compare(keys.get(a) ?? [], keys.get(b) ?? [], order.isDescending));
}

/** The index of the first item behind a key. */
function placeAfter<Item>(items: readonly Item[], { keyOf, isDescending }: Order<Item>, key: Key): number {
  return firstNotBefore(items, (item) => compare(keyOf(item), key, isDescending) <= 0);
}

function compare(a: Key, b: Key, isDescending = false): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? "";
    if (part === other) continue;
    const isLess = typeof part === typeof other ? part < other : typeof part === "number";
    return isLess === (isDescending && index === 0) ? 1 : -1;
  }
  return 0;
}

function cursorOf<Item>(item: Item, { name, keyOf }: Order<Item>): string {
  return Buffer.from(JSON.stringify([name, keyOf(item)])).toString("base64url");
}

function readCursor<Item>(cursor: string, { name }: Order<Item>): Key {
  const parsed = cursor.length <= CURSOR_CHARACTERS ? Cursor.safeParse(parse(cursor)).data : undefined;
  if (parsed?.[0] === name) return parsed[1];
  throw new CourierError("invalid", "The cursor in ?after= is not one of this list in this order", {
    hint: "Take it from `next` of the page before, with the same ?sort=; leave it out to begin again",
  });
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
