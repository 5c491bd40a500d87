// What readers make of documents under an agent's name that the agent did not publish: in the index, and in single readings.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { describeView } from "#src/courier/describe_view.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Courier } from "#src/courier.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { trustKey, trustUnsigned } from "#src/trust/agents/decisions.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { signedState, unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];
const PHI = modelOf("phi4:latest");

let clock: ManualClock;
let store: MemoryStore;
let agents: KnownAgents;
const open: { close(): Promise<void> }[] = [];
beforeEach(() => {
  clock = new ManualClock();
  store = new MemoryStore(clock);
  agents = new KnownAgents();
});
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

async function connected(): Promise<Transport> {
  const transport = store.open();
  await transport.connect();
  open.push(transport);
  return transport;
}

/** gpu-1, which signs. */
async function openAgent(): Promise<ScriptedAgent> {
  const agent = await ScriptedAgent.open(store, "gpu-1", { models: [PHI], key: MINE, boot: 3 });
  open.push(agent);
  return agent;
}

/** As somebody who can write to the share, but has no key of an agent. */
async function forge(text: string): Promise<void> {
  await (await connected()).publishState("gpu-1", text);
}

/** A courier that follows the states, as gpu-server does, or reads them when it needs them, as gpuctl does. */
async function openCourier(how: "follows" | "reads"): Promise<Courier> {
  const transport = await connected();
  const fleet = how === "follows" ? new WatchedFleet({ transport, clock, log: silentLog, agents }) : undefined;
  await fleet?.open();
  const courier = new Courier(transport, {
    sender: "tester",
    timeoutMs: 5_000,
    clock,
    agents,
    ...(fleet && { fleet }),
  });
  open.push(courier, ...(fleet === undefined ? [] : [fleet]));
  await settle();
  return courier;
}

const modelNames = async (courier: Courier) => (await courier.listModels()).models.map(({ name }) => name);
const gone = { models: [], model_count: 0 };

describe.each<"follows" | "reads">(["follows", "reads"])("a courier that %s the states", (how) => {
  test.each([
    ["unsigned", () => unsignedState("gpu-1", gone)],
    ["changed", () => signedState("gpu-1", { key: MINE, boot: 3, sequence: 50 }).replace('"running"', '"stopped"')],
    ["another key's", () => signedState("gpu-1", { key: OTHER, sequence: 50 }, gone)],
    ["replayed", () => signedState("gpu-1", { key: MINE, boot: 1 }, gone)],
    ["no", () => "{}"],
  ])("keeps the last document that counts while there is %s document in its place", async (_, forged) => {
    await openAgent();
    const courier = await openCourier(how);
    expect(await modelNames(courier)).toEqual(["phi4:latest"]);
    await forge(forged());
    await clock.advance(1_000);
    expect(await modelNames(courier)).toEqual(["phi4:latest"]);
    expect((await courier.agent("gpu-1")).online).toBe(true);
    expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1", count: 1 }]);
    await clock.advance(20_000);
    expect(await courier.agent("gpu-1")).toMatchObject({ online: false, reason: "silent" });
  });

  test("counts unsigned documents of an agent that never signed, as before", async () => {
    const agent = await ScriptedAgent.open(store, "gpu-1", { models: [PHI] });
    open.push(agent);
    const courier = await openCourier(how);
    expect(await modelNames(courier)).toEqual(["phi4:latest"]);
    expect(await courier.agent("gpu-1")).toMatchObject({ online: true, key: null });
    expect(await pinged(courier)).toBe("answered");
  });

  test("judges a document at first sight by the time that the agent signed", async () => {
    await openAgent();
    const [old] = await (await connected()).readStates();
    await clock.advance(60_000);
    await forge(old !== undefined && "text" in old.content ? old.content.text : "");
    expect(await (await openCourier(how)).agent("gpu-1")).toMatchObject({ online: false, reason: "silent" });
  });

  test("shows a box that was replaced as a conflict, also when a command is sent, until its key is trusted", async () => {
    const agent = await openAgent();
    await openCourier(how);
    agents.judge("gpu-1", signedState("gpu-1", { key: MINE, boot: 3, sequence: 100 }));
    agent.key = OTHER;
    await agent.publish();
    const courier = await openCourier(how);
    const view = await courier.agent("gpu-1");
    expect(view).toMatchObject({ online: false, state: null, key: { id: MINE.id, trouble: { kind: "conflict" } } });
    expect(describeView(view)).toBe(`conflict: it is signed by ${OTHER.id}: its key is ${MINE.id}`);
    expect(await courier.listModels().catch((caught) => caught)).toMatchObject({
      message: expect.stringContaining("conflict"),
      hint: expect.stringContaining("gpuctl trust gpu-1"),
    });
    const error = await courier.ping("gpu-1").catch((caught) => caught);
    expect(error).toMatchObject({ code: "conflict", hint: expect.stringContaining("gpuctl trust gpu-1") });
    trustKey(agents, "gpu-1", OTHER.id);
    await agent.publish();
    await clock.advance(2_000);
    expect(await courier.agent("gpu-1")).toMatchObject({ online: true, key: { id: OTHER.id, status: "confirmed" } });
  });

  test("counts unsigned documents again after a deliberate downgrade", async () => {
    const agent = await openAgent();
    const courier = await openCourier(how);
    await courier.agents();
    agent.key = null;
    await agent.publish();
    await clock.advance(21_000);
    expect((await courier.agent("gpu-1")).online).toBe(false);
    trustUnsigned(agents, "gpu-1");
    await agent.publish();
    await clock.advance(2_000);
    expect(await courier.agent("gpu-1")).toMatchObject({ online: true, key: { status: "unsigned" } });
    expect(await pinged(courier)).toBe("answered");
  });

  test("with --verify-agents all counts only signed documents, and shows the others with the reason", async () => {
    agents = new KnownAgents("all");
    await openAgent();
    open.push(await ScriptedAgent.open(store, "gpu-2", { models: [modelOf("other")] }));
    const courier = await openCourier(how);
    expect(await modelNames(courier)).toEqual(["phi4:latest"]);
    expect(describeView(await courier.agent("gpu-2"))).toContain("--verify-agents all");
  });

  test("does not list a copy of a signed document under another name, which is no agent", async () => {
    await openAgent();
    const [own] = await (await connected()).readStates();
    const text = own !== undefined && "text" in own.content ? own.content.text : "";
    await (await connected()).publishState("gpu-1-old", text);
    const courier = await openCourier(how);
    expect((await courier.agents()).map(({ agent }) => agent)).toEqual(["gpu-1"]);
    expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1-old", trouble: { kind: "forged" } }]);
  });

  async function pinged(courier: Courier): Promise<string> {
    return await courier.ping("gpu-1").then(
      () => "answered",
      (error) => error.message,
    );
  }
});

test("one reading waits for the agent to replace what somebody put in place of its document", async () => {
  const agent = await openAgent();
  agents.judge("gpu-1", signedState("gpu-1", { key: MINE, sequence: 1 }));
  await forge(unsignedState("gpu-1", gone));
  const courier = await openCourier("reads");
  const listing = modelNames(courier);
  await clock.advance(3_000);
  await agent.publish();
  await clock.advance(500);
  expect(await listing).toEqual(["phi4:latest"]);
  expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1", trouble: { kind: "unsigned" } }]);
});

test("one reading does not wait longer than an agent takes to publish again", async () => {
  await openAgent();
  agents.judge("gpu-1", signedState("gpu-1", { key: MINE }));
  await forge(unsignedState("gpu-1"));
  const courier = await openCourier("reads");
  const reading = courier.agents();
  await clock.advance(6_500);
  expect(await reading).toMatchObject([{ agent: "gpu-1", online: false, key: { trouble: { kind: "unsigned" } } }]);
});

test("the index does not parse a signed document again that only shows that its agent is alive", async () => {
  const agent = await openAgent();
  const courier = await openCourier("follows");
  const before = await courier.agent("gpu-1");
  await clock.advance(15_000);
  await agent.publish();
  await clock.advance(15_000);
  const after = await courier.agent("gpu-1");
  expect(after).toMatchObject({ online: true });
  expect(after.state).toBe(before.state);
});

test.each(["follows", "reads"] as const)(
  "a courier that %s takes no kept document of a silent agent for a sign of life",
  async (how) => {
    const agent = await openAgent();
    const courier = await openCourier(how);
    const isOnline = async () => (await courier.agents())[0]?.online;
    expect(await isOnline()).toBe(true);
    const keptAtMs = clock.now() - 25 * 3_600_000;
    await clock.advance(60_000);
    expect(await isOnline()).toBe(false);
    agents.adopt("gpu-1", { key: rawKey(MINE), status: "confirmed", boot: 0, sequence: 0 });
    for (let sequence = 1; sequence <= 3; sequence++) {
      await forge(signedState("gpu-1", { key: MINE, sequence, atMs: keptAtMs + sequence }));
      await clock.advance(5_000);
      expect(await isOnline()).toBe(false);
    }
    await agent.publish();
    await clock.advance(2_000);
    expect(await isOnline()).toBe(true);
  },
);

test.each(["follows", "reads"] as const)(
  "a courier that %s reports a late document that stays for over 10 s",
  async (how) => {
    agents.adopt("gpu-1", { key: rawKey(MINE), status: "confirmed", boot: 3, sequence: 9 });
    const courier = await openCourier(how);
    const at = async () => {
      const reading = courier.agents();
      await clock.advance(7_000);
      return (await reading)[0]?.key?.trouble?.kind;
    };
    await forge(signedState("gpu-1", { key: MINE, boot: 3, sequence: 8, atMs: clock.now() }));
    await clock.advance(2_000);
    expect([await at(), agents.troubles.all()]).toEqual(["late", []]);
    await clock.advance(5_000);
    expect(await at()).toBe("replayed");
    expect(agents.troubles.all()).toMatchObject([{ agent: "gpu-1", count: 1, trouble: { kind: "replayed" } }]);
  },
);

test("the index shows a change of trust at its next look, without a new document", async () => {
  await openAgent();
  const courier = await openCourier("follows");
  expect((await courier.agent("gpu-1")).key?.status).toBe("first use");
  trustKey(agents, "gpu-1", rawKey(MINE));
  await clock.advance(2_000);
  expect((await courier.agent("gpu-1")).key?.status).toBe("confirmed");
});

describe("a forged response", () => {
  /** What the caller gets when somebody answers first, and the agent 2 s later. */
  async function ask(forged: (id: string) => string) {
    const outsider = await connected();
    const agent = await ScriptedAgent.open(store, "gpu-1", {
      key: MINE,
      answer: async ({ command_id: id, reply_to: replyTo }) => {
        await outsider.respond({ replyTo }, id, forged(id), { durable: false });
        await clock.sleep(2_000);
        return { message: "the real one" };
      },
    });
    open.push(agent);
    const courier = await openCourier("reads");
    const asking = courier.request("gpu-1", { verb: "ping" });
    await clock.advance(3_000);
    return await asking;
  }
  const answer = (id: string) =>
    JSON.stringify({ success: true, version: 2, command_id: id, agent: "gpu-1", message: "forged" });

  test.each<[string, (id: string) => string]>([
    ["unsigned", answer],
    ["another key's", (id) => signDocument("response", answer(id), OTHER)],
    ["another command's", (id) => signDocument("response", answer(id), MINE)],
  ])("that is %s does not reach the caller of an agent that signs: the real one does", async (_, forged) => {
    expect((await ask(forged)).message).toBe("the real one");
  });
});

test("a response that only others give is no answer", async () => {
  const outsider = await connected();
  open.push(
    await ScriptedAgent.open(store, "gpu-1", {
      key: MINE,
      answer: async ({ command_id: id, reply_to: replyTo }) => {
        const forged = { success: true, version: 2, command_id: id, agent: "gpu-1" };
        await outsider.respond({ replyTo }, id, JSON.stringify(forged), { durable: false });
        return undefined;
      },
    }),
  );
  const courier = await openCourier("reads");
  const asking = courier.ping("gpu-1", { timeoutMs: 5_000 }).catch((error) => error);
  await clock.advance(6_000);
  expect(await asking).toMatchObject({
    code: "deadline_exceeded",
    message: expect.stringContaining("it is not signed"),
  });
});
