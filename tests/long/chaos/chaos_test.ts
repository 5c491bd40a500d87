// Agents, senders and their share under random faults, judged by docs/protocol.md. CHAOS_SEEDS=n plays n seeds on each ground;
// SEED=n plays that one, GROUND=name on that ground only. A seed gives the same load and faults again, but not the same timing.
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { requireTools } from "#tests/support/debian.ts";
import { GROUND_NAMES } from "./grounds.ts";
import { watchRuns } from "./watch.ts";

const SEEDS = Number(process.env["CHAOS_SEEDS"] ?? 2);
const GROUNDS = GROUND_NAMES.filter((name) => (process.env["GROUND"] ?? name) === name);
/** Of one seed, with everything that may go wrong. */
const SEED_MS = 300_000;

/** Everything that a run starts and mounts ends with it, also when it is killed. */
const APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];

const given = process.env["SEED"];
const first = given === undefined ? Math.floor(Math.random() * 1_000_000) : Number(given);
const seeds = Array.from({ length: given === undefined ? SEEDS : 1 }, (_, index) => first + index);

beforeAll(async () => {
  if (GROUNDS.includes("fuse")) await requireTools([{ command: "bindfs", package: "bindfs" }], "The chaos test");
}, 180_000);

test.concurrent.each(GROUNDS.map((name) => [name]))(
  "no work is lost, doubled or reordered on %s",
  async (ground) => {
    const command = [...APART, ...asRoot, process.execPath, join(import.meta.dir, "main.ts"), ground];
    const again = (logs: string, seed: number) => `logs: ${logs}, again: SEED=${seed} GROUND=${ground}`;
    expect(await watchRuns(command, seeds, again)).toEqual([]);
  },
  SEED_MS * seeds.length,
);
