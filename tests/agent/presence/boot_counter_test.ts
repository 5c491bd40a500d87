// The places of an agent's signed documents over its starts: they only grow, whatever becomes of the counter.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BootCounter, BootFile, type Place } from "#src/agent/presence/boot_counter.ts";
import { silentLog } from "#src/base/log.ts";
import type { StateRecord } from "#src/transport.ts";
import { signDocument } from "#src/trust/signature.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

const NOW_MS = 1_795_900_800_000;
const KEY = testKey(3);

let site: MemorySite;
let dir: string;
/** The document under the agent's name. */
let published: string | null;
let file: BootFile;
beforeEach(() => {
  site = new MemorySite();
  dir = site.stateDir();
  published = null;
  file = new BootFile(dir, true);
});
afterEach(async () => await site.close());

/** Starts, and publishes a few documents. @returns the place of the first */
async function start(nowMs = NOW_MS): Promise<Place> {
  const document = { after: { boot: 0, sequence: 0 } };
  const readState = async (agent: string): Promise<StateRecord | null> => {
    const content = { text: published ?? "" };
    return await Promise.resolve(published === null ? null : { agent, content, publishedAtMs: nowMs });
  };
  const transport = { now: () => nowMs, readState };
  await new BootCounter({ agent: "gpu-1", key: KEY, document, file, transport, log: silentLog }).raise();
  file = new BootFile(dir, false);
  const { boot, sequence } = document.after;
  published = stateAt({ boot, sequence: sequence + 9 });
  return { boot, sequence: sequence + 1 };
}

function stateAt(place: Place, key = KEY): string {
  return signDocument("state", JSON.stringify({ version: 2, agent: "gpu-1", ...place }), key);
}

function isLater(after: Place, before: Place): boolean {
  return after.boot > before.boot || (after.boot === before.boot && after.sequence > before.sequence + 8);
}

test("raise() counts each start from 1, and has stored it when it resolves", async () => {
  for (const boot of [1, 2, 3]) {
    expect(await start()).toEqual({ boot, sequence: 1 });
    expect(readFileSync(join(dir, "boot"), "utf8")).toBe(`${boot}\n`);
  }
});

test.each([
  ["lost", () => rmSync(join(dir, "boot"))],
  ["cut short by a crash of its disk", () => writeFileSync(join(dir, "boot"), "")],
  ["set back with a backup", () => writeFileSync(join(dir, "boot"), "1\n")],
])("raise() goes on when the counter was %s", async (_, damage) => {
  for (let count = 0; count < 5; count++) await start();
  damage();
  expect((await start()).boot).toBeGreaterThan(5);
});

test("raise() goes on when the counter was lost and another document is in place of the agent's own", async () => {
  for (let count = 0; count < 5; count++) await start();
  rmSync(join(dir, "boot"));
  published = stateAt({ boot: 1, sequence: 1 }, testKey(4));
  const first = await start();
  expect(first.boot).toBeGreaterThan(5);
  rmSync(join(dir, "boot"));
  published = null;
  expect((await start(NOW_MS + 5000)).boot).toBeGreaterThan(first.boot);
});

test("raise() goes on while the counter cannot be stored, and when it can again, whatever is on the share", async () => {
  let [last, nowMs] = [await start(), NOW_MS];
  for (const isWritable of [false, false, true, false, true]) {
    if (isWritable) rmSync(join(dir, "boot.new"), { recursive: true, force: true });
    else mkdirSync(join(dir, "boot.new"), { recursive: true });
    published = null;
    nowMs += 1000;
    const next = await start(nowMs);
    expect(isLater(next, last)).toBe(true);
    last = next;
  }
});

test("raise() is not led by a document that another key signed, or that is not signed", async () => {
  await start();
  for (const foreign of [stateAt({ boot: 900, sequence: 1 }, testKey(4)), '{"version":2,"agent":"gpu-1","boot":900}']) {
    published = foreign;
    expect((await start()).boot).toBeLessThan(10);
  }
});
