// The stores of known agents: what is kept over a restart, and what several programs on one store do to each other.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoredKnownAgents } from "#src/server/store/known_agents.ts";
import { openStore } from "#src/server/store/store.ts";
import { trustKey, trustUnsigned } from "#src/trust/agents/decisions.ts";
import { FileLock } from "#src/trust/agents/file_lock.ts";
import { Keeper } from "#src/trust/agents/keeper.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { KnownAgentsFile } from "#src/trust/agents/known_agents_file.ts";
import type { Changes, KnownAgentsStore } from "#src/trust/agents/store.ts";
import { rawKey } from "#src/trust/keys.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { signedState, unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];
const FIRST = { key: rawKey(MINE), status: "first use", boot: 1, sequence: 5 } as const;
const NONE = new Map();

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpu-courier-known-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const path = () => join(folder, "deep", "known_agents.json");
const entry = (known: object) => new Map([["gpu-1", { ...FIRST, ...known }]]);
const changes = (change: Partial<Changes>): Changes => ({
  displaced: new Set(),
  learned: NONE,
  decided: NONE,
  seen: NONE,
  ...change,
});

describe.each<[string, () => KnownAgentsStore]>([
  ["gpuctl's file", () => new KnownAgentsFile(path(), "/mnt/shared")],
  ["gpu-server's table", () => new StoredKnownAgents(openStore(folder))],
])("%s", (_, open) => {
  test("keeps what was learned, and is empty at first", () => {
    expect([...open().read()]).toEqual([]);
    open().write(changes({ learned: entry({}) }));
    expect([...open().read()]).toEqual([["gpu-1", FIRST]]);
  });

  test("lets an agent of first use make room", () => {
    open().write(changes({ learned: entry({}) }));
    open().write(changes({ displaced: new Set(["gpu-1"]), learned: new Map([["gpu-2", FIRST]]) }));
    expect([...open().read().keys()]).toEqual(["gpu-2"]);
  });

  test("keeps a decision against what another program learned, and the newest position of its key", () => {
    const store = open();
    store.write(changes({ decided: entry({ status: "confirmed" }) }));
    store.write(changes({ learned: entry({ key: rawKey(OTHER), boot: 9 }) }));
    store.write(changes({ seen: entry({ boot: 2, sequence: 1 }) }));
    store.write(changes({ seen: entry({ sequence: 900 }) }));
    store.write(changes({ seen: entry({ key: rawKey(OTHER), boot: 9 }) }));
    expect([...store.read()]).toEqual([["gpu-1", { ...FIRST, status: "confirmed", boot: 2, sequence: 1 }]]);
    store.write(changes({ displaced: new Set(["gpu-1"]) }));
    expect([...store.read()]).toHaveLength(1);
    store.write(changes({ decided: entry({ key: null, status: "unsigned" }) }));
    expect(store.read().get("gpu-1")).toMatchObject({ key: null, status: "unsigned" });
  });
});

describe("gpuctl's file", () => {
  test("is readable by its owner only, and leaves no lock or draft", () => {
    new KnownAgentsFile(path(), "/mnt/shared").write(changes({ learned: entry({}) }));
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect([...new Bun.Glob("*").scanSync({ cwd: join(folder, "deep"), dot: true })]).toEqual(["known_agents.json"]);
  });

  test("keeps the agents of each share apart", () => {
    new KnownAgentsFile(path(), "/mnt/one").write(changes({ learned: entry({}) }));
    new KnownAgentsFile(path(), "/mnt/two").write(changes({ learned: entry({ key: rawKey(OTHER) }) }));
    expect(new KnownAgentsFile(path(), "/mnt/one").read().get("gpu-1")).toEqual(FIRST);
  });

  test("passes over the lock of a gpuctl that was killed", () => {
    mkdirSync(join(folder, "deep"));
    writeFileSync(`${path()}.lock`, "");
    utimesSync(`${path()}.lock`, 1, 1);
    new KnownAgentsFile(path(), "/mnt/shared").write(changes({ learned: entry({}) }));
    expect(new KnownAgentsFile(path(), "/mnt/shared").read().size).toBe(1);
  });

  test("judges a lock by the clock of its folder, and leaves one that is another program's", () => {
    mkdirSync(join(folder, "deep"));
    const lock = new FileLock(`${path()}.lock`);
    lock.take();
    writeFileSync(`${path()}.lock`, "another's");
    lock.release();
    expect(readFileSync(`${path()}.lock`, "utf8")).toBe("another's");
    const now = Date.now;
    try {
      // This machine's clock is an hour ahead of that of the folder.
      Date.now = () => now() + 3_600_000;
      removeLater(`${path()}.lock`);
      const begunAtMs = performance.now();
      new FileLock(`${path()}.lock`).take();
      expect(performance.now() - begunAtMs).toBeGreaterThan(200);
    } finally {
      Date.now = now;
    }
  });

  test.each([
    ["half of it", '{"version":1,"agents":{"gpu-1"'],
    ["an invalid name", JSON.stringify({ version: 1, shares: { "/": { "../x": FIRST } } })],
    ["an invalid key", JSON.stringify({ version: 1, shares: { "/": { "gpu-1": { ...FIRST, key: "AAAA" } } } })],
  ])("is not replaced when it holds %s: the error has the deed to do", (_, text) => {
    mkdirSync(join(folder, "deep"));
    writeFileSync(path(), text);
    const file = new KnownAgentsFile(path(), "/mnt/shared");
    for (const use of [() => file.read(), () => file.write(changes({ learned: entry({}) }))])
      expect(use).toThrow(expect.objectContaining({ code: "invalid", hint: expect.stringContaining("remove it") }));
    expect(readFileSync(path(), "utf8")).toBe(text);
  });

  test("loses no change of several gpuctl that write at the same time", async () => {
    const program = join(import.meta.dir, "writing_program.ts");
    const running = Array.from({ length: 6 }, (_, index) =>
      Bun.spawn([process.execPath, program, path(), `gpu-${index}`, "20"], { stdout: "inherit", stderr: "inherit" }),
    );
    expect(await Promise.all(running.map(async ({ exited }) => await exited))).toEqual(Array(6).fill(0));
    expect(new KnownAgentsFile(path(), "/mnt/shared").read().size).toBe(6 * 20);
  });
});

describe("Keeper", () => {
  const log = { debug: () => {}, info: () => {}, warn: (fields: object) => void warned.push(fields), error: () => {} };
  let warned: object[] = [];
  let clock: ManualClock;
  beforeEach(() => {
    warned = [];
    clock = new ManualClock();
  });

  /** A program that runs on, on the same store. */
  function program() {
    const agents = new KnownAgents();
    const store = new StoredKnownAgents(openStore(folder));
    const keeper = new Keeper({ agents, store, clock, log });
    keeper.round("keys");
    return { agents, store, keeper };
  }
  const state = (sequence: number, key = MINE) => signedState("gpu-1", { key, sequence });

  test("stores a new key within a second, positions within a minute and at the end", async () => {
    const { agents, store, keeper } = program();
    const stop = new AbortController();
    const running = keeper.run(stop.signal);
    agents.judge("gpu-1", state(1));
    await clock.advance(1_000);
    expect(store.read().get("gpu-1")).toMatchObject({ ...FIRST, sequence: 1 });
    agents.judge("gpu-1", state(2));
    await clock.advance(50_000);
    expect(store.read().get("gpu-1")?.sequence).toBe(1);
    await clock.advance(10_000);
    expect(store.read().get("gpu-1")?.sequence).toBe(2);
    agents.judge("gpu-1", state(3));
    stop.abort();
    await running;
    expect(program().agents.known("gpu-1")?.sequence).toBe(3);
  });

  test("takes over what another program decides, and keeps its own position otherwise", () => {
    const { agents, keeper } = program();
    agents.judge("gpu-1", state(100));
    keeper.round("keys");
    agents.judge("gpu-1", state(200));
    const other = program();
    expect(agents.judge("gpu-1", state(101, OTHER)).counts).toBe(false);
    trustKey(other.agents, "gpu-1", rawKey(OTHER));
    other.keeper.round("keys");
    keeper.round("keys");
    expect(agents.judge("gpu-1", state(101, OTHER)).counts).toBe(true);
    trustUnsigned(other.agents, "gpu-1");
    other.keeper.round("keys");
    keeper.round("keys");
    expect(agents.judge("gpu-1", unsignedState("gpu-1")).counts).toBe(true);
    other.store.write(changes({ decided: new Map([["gpu-2", FIRST]]) }));
    keeper.round("all");
    expect(agents.key("gpu-2")).toMatchObject({ id: MINE.id, status: "first use" });
  });

  test("reports a failure until the store can be read for the first time, and when a decision is not stored", () => {
    const agents = new KnownAgents();
    const working = new StoredKnownAgents(openStore(folder));
    working.write(changes({ decided: entry({ status: "confirmed" }) }));
    const fails = { read: true, write: false };
    const store = {
      version: () => 1,
      read: () => failOr(fails.read, () => working.read()),
      write: (change: Changes) => failOr(fails.write, () => working.write(change)),
    };
    const keeper = new Keeper({ agents, store, clock, log });
    keeper.round("keys");
    expect(agents.failure).toMatchObject({ code: "unavailable", message: expect.stringContaining("disk I/O error") });
    fails.read = false;
    agents.judge("gpu-1", state(1, OTHER));
    keeper.round("keys");
    expect([agents.failure, agents.key("gpu-1")]).toMatchObject([null, { id: MINE.id, status: "confirmed" }]);
    fails.write = true;
    trustUnsigned(agents, "gpu-1");
    expect(() => keeper.save("keys")).toThrow(expect.objectContaining({ code: "unavailable" }));
    expect(agents.failure).toBeNull();
    fails.write = false;
    keeper.save("keys");
    expect(working.read().get("gpu-1")?.status).toBe("unsigned");
  });

  test("names agents whose documents do not count once, with the deed to do, and at most twenty at a time", () => {
    const { agents, keeper } = program();
    for (let each = 0; each < 25; each++) agents.judge(`gpu-${each}`, signedState("gpu-x", { key: OTHER }));
    keeper.round("keys");
    keeper.round("keys");
    expect(warned).toHaveLength(21);
    expect(warned[0]).toMatchObject({ agent: "gpu-0", hint: expect.stringContaining("find out who writes") });
    expect(warned[20]).toEqual({ more: 5 });
  });
});

function failOr<Result>(fails: boolean, use: () => Result): Result {
  if (fails) throw new Error("disk I/O error");
  return use();
}

/** As another program does, in 0.3 s: this one waits without a pause. */
function removeLater(file: string): void {
  Bun.spawn(["sh", "-c", 'sleep 0.3; rm "$1"', "sh", file]);
}
