// `gpu-server store copy`: a server with --store nats goes on where one with --store sqlite stopped.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { isoTime, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { type Job, newPull } from "#src/protocol.ts";
import { ActiveModels } from "#src/server/store/active_models.ts";
import { EndedJobs } from "#src/server/store/ended_jobs.ts";
import { StoredKnownAgents } from "#src/server/store/known_agents.ts";
import { copyStore, type StorePlace, storeDir } from "#src/server/store/shared/open.ts";
import { openStore } from "#src/server/store/store.ts";
import { TokenNotes } from "#src/server/store/token_notes.ts";
import { Tokens } from "#src/server/store/tokens.ts";
import { SharedStores } from "./store.ts";

const LIMITS = { expiresAtMs: 4_000_000_000_000, agents: ["gpu-1"], verbs: ["list_models" as const] };

let stores: SharedStores;
let place: StorePlace;
let printed: string[];
beforeEach(async () => {
  stores = await SharedStores.open();
  place = { kind: "nats", stateDir: stores.dirs[0], addresses: ["/mnt/shared", stores.nats.url], nats: {} };
  printed = [];
});
afterEach(async () => await stores.close());

function end(id: string): Job {
  return { ...newPull(id, "gpu-1", "phi4:latest"), state: "succeeded", ended_at: isoTime(Date.now()) };
}

async function copy(): Promise<void> {
  await copyStore(place, (text) => printed.push(text));
}

/** What a server on SQLite leaves: tokens, a model, a key, and a log in which number 2 is missing. */
function fill() {
  const database = openStore(stores.dirs[0]);
  const log = new EndedJobs(database, systemClock);
  log.begin(Date.now() - 60_000);
  for (const id of ["a", "b", "c"]) log.add([end(id)]);
  database.run("DELETE FROM ended_jobs WHERE number = 2");
  const tokens = new Tokens(database, systemClock);
  const whole = tokens.add("platform", "gp");
  const limited = tokens.add("berlin", "gp", LIMITS, {
    name: "platform",
    accounts: { limits: "l", audit: "a" },
    isHeldToLimits: false,
  });
  const notes = new TokenNotes({ database, clock: systemClock, log: silentLog });
  notes.create(tokens.hashNamed("berlin"), "platform");
  new ActiveModels(database).set("text", "phi4:latest");
  const key = { key: "ssh-ed25519 AAAA", status: "confirmed", boot: 3, sequence: 9 } as const;
  new StoredKnownAgents(database).write({
    displaced: new Set(),
    learned: new Map(),
    decided: new Map([["gpu-1", key]]),
    seen: new Map(),
  });
  const entries = tokens.list();
  database.close();
  return { id: log.id, whole, limited, entries, key };
}

test("tokens, active models, known keys and the log go on, with the numbers of the ends", async () => {
  const before = fill();
  await copy();
  expect(printed).toEqual([
    `Copied 2 tokens, 1 active models and 2 ends of jobs; event ids go on after ${before.id}-3\n`,
  ]);
  const { store } = await stores.server(storeDir(place));
  const { ends, tokens } = store;
  expect([ends.id, ends.last, ends.reaches(0)]).toEqual([before.id, 3, true]);
  expect(ends.after(0, 9).map(({ number, job }) => `${number} ${job.id}`)).toEqual(["1 a", "3 c"]);
  expect(ends.add([end("a")])).toBe(false);
  ends.add([end("d")]);
  await ends.settled();
  expect(ends.find("d")?.number).toBe(4);
  expect(tokens.list()).toEqual(before.entries);
  expect([tokens.find(before.whole)?.name, tokens.find(before.limited)?.name]).toEqual(["platform", "berlin"]);
  expect(store.activeModels.read()).toEqual({ text: "phi4:latest" });
  const database = openStore(storeDir(place));
  expect(new StoredKnownAgents(database).read().get("gpu-1")).toEqual(before.key);
  expect(new TokenNotes({ database, clock: systemClock, log: silentLog }).byName().get("berlin").created_by).toBe(
    "platform",
  );
  database.close();
});

test("a second copy adds nothing", async () => {
  fill();
  await copy();
  await copy();
  expect(printed[1]).toStartWith("Copied 2 tokens, 1 active models and 0 ends");
  const { store } = await stores.server(storeDir(place));
  expect([store.ends.last, store.tokens.list().length]).toEqual([3, 2]);
});

test("a copy to a NATS where other servers have their log is refused", async () => {
  fill();
  const { stop } = await stores.server(stores.dirs[1]);
  await stop();
  const failure = await copy().catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "conflict", message: "NATS already has the log of other gpu-servers" });
});

test("a server that was never started copies an empty log, and jobs that ended before are no news", async () => {
  await copy();
  expect(printed[0]).toMatch(
    /^Copied 0 tokens, 0 active models and 0 ends of jobs; event ids go on after [0-9a-f]{8}-0\n$/,
  );
  const { store } = await stores.server(storeDir(place));
  const old = { ...end("old"), ended_at: isoTime(Date.now() - 3_600_000) };
  expect(store.ends.news([old, end("new")]).map(({ id }) => id)).toEqual(["new"]);
});
