// Which agent serves the shared inbox: by the states alone, on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Candidate, chooseServer, SharedInboxElection } from "#src/agent/presence/shared_inbox.ts";
import { type Log, silentLog } from "#src/base/log.ts";
import type { StateRecord } from "#src/transport.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { sampleDocument, sampleText } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";

const NO_LISTS = {
  commandsIn: async () => await Promise.resolve([]),
  respondedAtMs: async () => await Promise.resolve(null),
};

let site: MemorySite;
beforeEach(() => {
  site = new MemorySite();
});
afterEach(async () => await site.close());

describe("shared inbox", () => {
  const auto: Candidate = { agent: "b", mode: "auto", serves: "all", ollamaReachable: true, isServing: false };

  test("serves() reads only the document of the agent that serves, until that one no longer does", async () => {
    const clock = new ManualClock();
    const me: Candidate = { ...auto, agent: "gpu-3" };
    let states: StateRecord[] = [];
    const reads: string[] = [];
    const transport = {
      now: () => clock.now(),
      openStates: () => ({
        read: async (changed: (record: StateRecord) => void) => {
          reads.push("all");
          for (const record of states) changed(record);
          return await Promise.resolve(new Set(states.map(({ agent }) => agent)));
        },
      }),
      readState: async (agent: string) => {
        reads.push(agent);
        return await Promise.resolve(states.find((record) => record.agent === agent) ?? null);
      },
      ...NO_LISTS,
    };
    const election = new SharedInboxElection({ transport, clock, log: silentLog });
    const document = (agent: string, change: object): StateRecord => {
      const sequence = clock.monotonic();
      const state = { ...sampleDocument("v2/state.json"), agent, sequence, shared_inbox: "auto", status: "running" };
      return { agent, content: { text: JSON.stringify({ ...state, ...change }) }, publishedAtMs: clock.now() };
    };
    const active = { serves_shared_inbox: true };
    const idle = { serves_shared_inbox: false };
    states = [document("gpu-1", active), document("gpu-2", idle)];
    expect([await election.serves(me), reads.splice(0)]).toEqual([false, ["all"]]);
    await clock.advance(5_000);
    states = [document("gpu-1", active), document("gpu-2", idle)];
    expect([await election.serves(me), reads.splice(0)]).toEqual([false, ["gpu-1"]]);
    // It died: its document no longer changes.
    await clock.advance(25_000);
    states = [...states.slice(0, 1), document("gpu-2", { ...idle, status: "stopped" })];
    expect([await election.serves(me), reads.splice(0)]).toEqual([true, ["gpu-1", "all"]]);
    expect([await election.serves({ ...me, mode: "off" }), reads.splice(0)]).toEqual([false, []]);
    // An agent that serves reads all documents, and gives way.
    states = [...states, document("gpu-0", active)];
    expect([await election.serves(me), reads.splice(0)]).toEqual([false, ["all"]]);
  });

  test("serves() lets only signed states vote where signatures are required, and a legacy service anyway", async () => {
    const clock = new ManualClock();
    const states = new Map<string, string>();
    const transport = {
      now: () => clock.now(),
      openStates: () => ({
        read: async (changed: (record: StateRecord) => void) => {
          for (const [agent, text] of states) changed({ agent, content: { text }, publishedAtMs: clock.now() });
          return await Promise.resolve(new Set(states.keys()));
        },
      }),
      readState: async () => await Promise.resolve(null),
      ...NO_LISTS,
    };
    const election = new SharedInboxElection({ transport, clock, log: silentLog }, true);
    const phantom = (agent: string, key: string): string =>
      JSON.stringify({ ...sampleDocument("v2/state.json"), agent, status: "running", shared_inbox: "on", key });
    const [mine, other] = [testKey(3), testKey(4)];
    states.set("gpu-0", phantom("gpu-0", rawKey(mine)));
    states.set("gpu-1", signDocument("state", phantom("gpu-1", rawKey(mine)), other));
    states.set("gpu-2", signDocument("response", phantom("gpu-2", rawKey(mine)), mine));
    const me: Candidate = { ...auto, agent: "gpu-3" };
    expect([
      await election.serves(me),
      await new SharedInboxElection({ transport, clock, log: silentLog }).serves(me),
    ]).toEqual([true, false]);
    states.set("gpu-2", signDocument("state", phantom("gpu-2", rawKey(mine)), mine));
    expect(await election.serves(me)).toBe(false);
    states.delete("gpu-2");
    await clock.advance(20_000);
    expect(await election.serves(me)).toBe(true);
    states.set("gpu", sampleText("v1/status.json"));
    expect([await election.serves(me), await election.serves({ ...me, mode: "only" })]).toEqual([false, true]);
  });

  test.each([
    ["changing", true],
    ["all", true],
    ["warn", false],
    ["off", false],
  ] as const)("run() serves beside an unsigned phantom in mode %s: %p", async (requireSignatures, serves) => {
    const trustedKeys = join(site.stateDir(), "trusted_keys");
    writeFileSync(trustedKeys, `${publicLine(testKey(1), "server")}\n`);
    await site.platform.connect();
    await site.start("gpu-1", { requireSignatures, trustedKeys });
    for (let second = 0; second < 30; second++) {
      const state = { ...sampleDocument("v2/state.json"), agent: "phantom", status: "running", sequence: second };
      await site.platform.publishState("phantom", JSON.stringify({ ...state, shared_inbox: "on" }));
      await site.clock.advance(1000);
    }
    expect((await site.state("gpu-1")).serves_shared_inbox).toBe(serves);
  });

  test("chooseServer() takes a live on, else the first auto with Ollama, else the first auto, else no agent", () => {
    const cases: [string | null, Candidate[]][] = [
      ["b", [auto, { ...auto, agent: "c" }]],
      ["c", [auto, { ...auto, agent: "c", mode: "on" }]],
      ["b", [auto, { ...auto, agent: "c", mode: "on", serves: "nothing" }]],
      [
        "c",
        [
          { ...auto, serves: "reading" },
          { ...auto, agent: "c", ollamaReachable: false },
        ],
      ],
      [
        "b",
        [
          { ...auto, serves: "reading", mode: "on" },
          { ...auto, agent: "c" },
        ],
      ],
      [
        "b",
        [
          { ...auto, serves: "reading" },
          { ...auto, agent: "c", serves: "nothing" },
        ],
      ],
      [
        "c",
        [
          { ...auto, ollamaReachable: false },
          { ...auto, agent: "c" },
        ],
      ],
      [
        "b",
        [
          { ...auto, ollamaReachable: false },
          { ...auto, agent: "c", ollamaReachable: false },
        ],
      ],
      [
        "c",
        [
          { ...auto, mode: "on" },
          { ...auto, agent: "c", mode: "only" },
        ],
      ],
      [null, [{ ...auto, mode: "off" }]],
      [null, []],
    ];
    for (const [chosen, candidates] of cases) {
      expect(chooseServer(candidates, false)).toBe(chosen);
      expect(chooseServer(candidates.toReversed(), false)).toBe(chosen);
      const only = candidates.find(({ mode }) => mode === "only")?.agent ?? null;
      expect(chooseServer(candidates, true)).toBe(only);
    }
  });

  async function serving(): Promise<string[]> {
    const names = ["gpu-1", "gpu-2", "gpu-3"];
    const states = await Promise.all(names.map(async (name) => await site.state(name)));
    return states.filter((state) => state.serves_shared_inbox).map(({ agent }) => agent);
  }

  test("run() hands the shared inbox to the next agent by name when the serving agent stops", async () => {
    const first = await site.start("gpu-1");
    await site.start("gpu-2");
    await site.start("gpu-3");
    await site.clock.advance(6000);
    expect(await serving()).toEqual(["gpu-1"]);
    first.stop.abort();
    await site.clock.advance(6000);
    expect(await serving()).toEqual(["gpu-2"]);
    await site.listen("shared");
    await site.send("shared", "list_models_1", { command: "list_models" });
    expect(site.replies.get("list_models_1")?.success).toBe(true);
  });

  test("run() leaves the shared inbox to a legacy service whose document is found half-written", async () => {
    await site.platform.connect();
    const old = { timestamp: "2025-07-15T17:00:00", status: "running", processed_commands: 0, ollama_available: true };
    await site.platform.publishState("gpu", JSON.stringify(old));
    for (const name of ["gpu-1", "gpu-2", "gpu-3"]) await site.start(name);
    for (const text of ["", '{"timestamp": "2025', JSON.stringify({ ...old, timestamp: "2025-07-15T17:00:05" })]) {
      await site.clock.advance(2500);
      expect(await serving()).toEqual([]);
      await site.platform.publishState("gpu", text);
    }
    await site.clock.advance(6000);
    expect(await serving()).toEqual([]);
  });

  test("run() with only serves although gpu_status.json moves; with on or auto it leaves the inbox to that", async () => {
    await site.platform.connect();
    const modes = { "gpu-1": "on", "gpu-2": "auto", "gpu-3": "only" } as const;
    for (const name of ["gpu-1", "gpu-2", "gpu-3"] as const) await site.start(name, { sharedInbox: modes[name] });
    for (let second = 0; second < 30; second += 5) {
      const forged = { timestamp: `${second}`, status: "running", processed_commands: 0, ollama_available: true };
      await site.platform.publishState("gpu", JSON.stringify(forged));
      await site.clock.advance(5000);
    }
    expect(await serving()).toEqual(["gpu-3"]);
    // Readers of 0.1.0 know no third value.
    expect(await site.state("gpu-3")).toMatchObject({ shared_inbox: "on", shared_inbox_only: true });
    expect((await site.state("gpu-1")).shared_inbox_only).toBeUndefined();
  });

  test("run() leaves the shared inbox to a legacy service that is alive", async () => {
    await site.start("gpu-1");
    await site.start("gpu-2");
    await site.start("gpu-3");
    for (let second = 0; second < 10; second += 5) {
      const old = {
        timestamp: `2025-07-15T17:00:0${second}`,
        status: "running",
        processed_commands: 0,
        ollama_available: true,
      };
      await site.platform.connect();
      await site.platform.publishState("gpu", JSON.stringify(old));
      await site.clock.advance(5000);
    }
    expect(await serving()).toEqual([]);
    await site.clock.advance(25_000);
    expect(await serving()).toEqual(["gpu-1"]);
  });
});

describe("an agent that is chosen and answers nothing", () => {
  const PHANTOM = "gpu-0";
  let warned: string[];
  let log: Log;
  beforeEach(() => {
    warned = [];
    log = { ...silentLog, warn: (_: object, message: string) => void warned.push(message) };
  });

  /** Publishes the document of an agent that is not there for this long. @returns who serves after each step */
  async function haunt(
    durationMs: number,
    fields: object,
    each = async (): Promise<void> => undefined,
  ): Promise<string[]> {
    const served: string[] = [];
    for (let passedMs = 0; passedMs < durationMs; passedMs += 2_500) {
      const sequence = site.clock.monotonic();
      const document = { ...sampleDocument("v2/state.json"), agent: PHANTOM, status: "running", sequence, ...fields };
      await site.platform.publishState(PHANTOM, JSON.stringify(document));
      await each();
      await site.clock.advance(2_500);
      served.push((await site.state("gpu-2")).serves_shared_inbox ? "gpu-2" : "");
    }
    return served;
  }

  /** gpu-1 serves and gpu-2 does not, until gpu-1 crashes and a list comes. */
  async function crashBeforeList(): Promise<void> {
    await site.listen("shared");
    const first = await site.start("gpu-1");
    await site.start("gpu-2", { log });
    await site.clock.advance(15_000);
    await site.kill(first);
    await sendList();
  }

  async function sendList(): Promise<void> {
    await site.send("shared", `list_models_${site.clock.monotonic()}`, { command: "list_models" });
  }

  test.each([
    ["an on that is not serving", { shared_inbox: "on", serves_shared_inbox: false }],
    ["an on that seems to serve", { shared_inbox: "on", serves_shared_inbox: true }],
    ["an auto before all others", { shared_inbox: "auto", serves_shared_inbox: true }],
    ["an only", { shared_inbox: "on", shared_inbox_only: true, serves_shared_inbox: true }],
  ])("is passed over for a minute after 10 s: %s", async (_, fields) => {
    await site.listen("shared");
    await site.start("gpu-2", { log });
    await haunt(30_000, fields);
    expect([(await site.state("gpu-2")).serves_shared_inbox, warned]).toEqual([false, []]);
    await sendList();
    // 10 s, and two rounds of 5 s. A legacy backend waits for 30 s.
    expect((await haunt(22_500, fields)).at(-1)).toBe("gpu-2");
    expect(site.replies.size).toBe(1);
    expect(warned).toEqual(["Passing an agent over for a minute: it leaves legacy backends without an answer"]);
    // A legacy backend removes its command. After the minute the agent gets another chance.
    for (const id of site.lying("shared")) await site.platform.withdraw("shared", id);
    const served = await haunt(65_000, fields);
    expect(served.slice(0, 16)).toEqual(Array.from({ length: 16 }, () => "gpu-2"));
    expect(served.at(-1)).toBe("");
  });

  test("is not passed over while each list is answered, or is younger than 10 s, or waits for nobody any more", async () => {
    const on = { shared_inbox: "on", serves_shared_inbox: true };
    await site.listen("shared");
    await site.start("gpu-2", { log });
    await sendList();
    await site.clock.advance(61_000);
    await haunt(10_000, on);
    const answered = async (): Promise<void> => {
      await sendList();
      for (const id of site.lying("shared"))
        await site.platform.respond("shared", id, '{"success":true}', { durable: false });
    };
    await haunt(30_000, on, answered);
    await sendList();
    const served = await haunt(7_500, on);
    expect([served.includes("gpu-2"), warned]).toEqual([false, []]);
  });

  test("an agent that starts again 10 s after a list was sent answers it, and is not passed over", async () => {
    await crashBeforeList();
    await site.clock.advance(12_000);
    await site.start("gpu-1");
    await site.clock.advance(30_000);
    const serving = [(await site.state("gpu-1")).serves_shared_inbox, (await site.state("gpu-2")).serves_shared_inbox];
    expect([serving, site.replies.size, warned]).toEqual([[true, false], 1, []]);
  });

  test("an agent that crashes is waited for until it is silent: it did not choose to leave a list", async () => {
    await crashBeforeList();
    for (let passedMs = 0; passedMs < 20_000; passedMs += 2_500) {
      expect([(await site.state("gpu-2")).serves_shared_inbox, site.replies.size]).toEqual([false, 0]);
      await site.clock.advance(2_500);
    }
    await site.clock.advance(7_500);
    expect([(await site.state("gpu-2")).serves_shared_inbox, site.replies.size, warned]).toEqual([true, 1, []]);
  });
});
