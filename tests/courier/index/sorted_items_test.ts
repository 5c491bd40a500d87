// src/courier/index/sorted_items.ts: the list is what sorting everything gives, and small changes of a long one cost little.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { SortedItems } from "#src/courier/index/sorted_items.ts";

interface Item {
  readonly key: number;
}

const KEYS = 1_000;
const step = fc.record({
  /** Those that are replaced, that go and that come, by their places among the keys. */
  replaced: fc.uniqueArray(fc.nat(KEYS - 1), { maxLength: 80 }),
  gone: fc.uniqueArray(fc.nat(KEYS - 1), { maxLength: 40 }),
  come: fc.uniqueArray(fc.nat(KEYS - 1), { maxLength: 40 }),
});

function compare(a: Item, b: Item): number {
  return a.key - b.key;
}

function filled(): { readonly sorted: SortedItems<Item>; readonly known: Map<number, Item> } {
  const known = new Map(Array.from({ length: KEYS }, (_, key) => [key, { key }]));
  const sorted = new SortedItems<Item>(compare);
  for (const item of known.values()) sorted.add(item);
  return { sorted, known };
}

test("after any changes the items are in order, each the last one of its key", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6 }), (steps) => {
      const { sorted, known } = filled();
      for (const { replaced, gone, come } of steps) {
        const remove = (key: number): void => {
          const item = known.get(key);
          if (item !== undefined) sorted.delete(item);
          known.delete(key);
        };
        const add = (key: number): void => {
          const item = { key };
          known.set(key, item);
          sorted.add(item);
        };
        for (const key of replaced.filter((each) => known.has(each))) {
          remove(key);
          add(key);
        }
        for (const key of gone) remove(key);
        for (const key of come.filter((each) => !known.has(each))) add(key);
        const { items } = sorted;
        expect(items.map(({ key }) => key)).toEqual([...known.keys()].toSorted((a, b) => a - b));
        expect(items.every((item) => known.get(item.key) === item)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test("replacing some items of a long list compares no others", () => {
  let compared = 0;
  const items = Array.from({ length: 100_000 }, (_, key) => ({ key }));
  const sorted = new SortedItems<Item>((a, b) => {
    compared += 1;
    return compare(a, b);
  });
  for (const item of items) sorted.add(item);
  expect(sorted.items.length).toBe(items.length);
  compared = 0;
  for (const item of items.slice(500, 1_500)) {
    sorted.delete(item);
    sorted.add({ ...item });
  }
  expect(sorted.items.length).toBe(items.length);
  expect(compared).toBeLessThan(20_000);
});
