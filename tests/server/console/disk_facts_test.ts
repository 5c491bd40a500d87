// What the console makes of a measured disk.
import { expect, test } from "bun:test";
import { largestFirst, partsOf, type Usage } from "#src/console/boxes/disk/disk_facts.ts";
import { keptReasons, removable } from "#src/console/boxes/disk/removal.ts";

const USAGE: Usage = {
  path: "/srv/ollama/models",
  free_bytes: 400,
  total_bytes: 1000,
  models_bytes: 300,
  partials_bytes: 50,
  orphans_bytes: 0,
  models: [
    { name: "small", own_bytes: 10, shared_bytes: 20 },
    { name: "large", own_bytes: 20, shared_bytes: 200 },
  ],
  partials: [],
  orphans: [],
};

test("partsOf() splits the whole disk, without what takes nothing", () => {
  expect(partsOf(USAGE).map(({ id, bytes }) => [id, bytes])).toEqual([
    ["models", 300],
    ["partials", 50],
    ["other", 250],
    ["free", 400],
  ]);
});

test("partsOf() shows nothing negative where a box counts more than its disk has in use", () => {
  const parts = partsOf({ ...USAGE, models_bytes: 700 });
  expect(parts.find(({ id }) => id === "other")).toBeUndefined();
});

test("largestFirst() counts what a model shares too", () => {
  expect(largestFirst(USAGE).map(({ name }) => name)).toEqual(["large", "small"]);
});

const PRUNED = {
  dry_run: true,
  bytes: 15,
  count: 2,
  removed: [
    { kind: "partial" as const, digest: "a", bytes: 5 },
    { kind: "orphan" as const, digest: "b", bytes: 10 },
  ],
  kept: [
    { kind: "orphan" as const, digest: "c", bytes: 3, reason: "new" },
    { kind: "partial" as const, digest: "d", bytes: 4, reason: "new" },
    { kind: "orphan" as const, digest: "e", bytes: 5, reason: "needed" },
  ],
};

test("removable() counts only the chosen kinds", () => {
  expect(removable(PRUNED, new Set(["orphan"]))).toEqual({ count: 1, bytes: 10 });
  expect(removable(PRUNED, new Set(["orphan", "partial"]))).toEqual({ count: 2, bytes: 15 });
  expect(removable(PRUNED, new Set())).toEqual({ count: 0, bytes: 0 });
});

test("keptReasons() gathers what stays for one reason", () => {
  expect(keptReasons(PRUNED)).toEqual([
    ["new", { count: 2, bytes: 7 }],
    ["needed", { count: 1, bytes: 5 }],
  ]);
});
