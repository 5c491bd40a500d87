// src/server/store/shared/known_agents.ts: the keys of agents that servers share, first ones and decided ones.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { storeDir } from "#src/server/store/shared/open.ts";
import { trustAgent } from "#src/server/store/shared/trust_commands.ts";
import { trustKey, trustUnsigned } from "#src/trust/agents/decisions.ts";
import { Keeper } from "#src/trust/agents/keeper.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { rawKey } from "#src/trust/keys.ts";
import { until } from "#tests/support/until.ts";
import { signedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { SharedStores } from "./store.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];

let stores: SharedStores;
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => await stores.close());

/** What a server has of the keys of agents. */
async function server(dir: string) {
  const { store, stop } = await stores.server(dir);
  const agents = new KnownAgents();
  const keeper = new Keeper({ agents, store: store.knownAgents, clock: systemClock, log: silentLog });
  keeper.round("keys");
  const keyOf = (agent: string): string | null => {
    keeper.round("keys");
    return agents.key(agent)?.id ?? null;
  };
  return { store, agents, keeper, keyOf, stop };
}

async function twoServers() {
  return [await server(stores.dirs[0]), await server(stores.dirs[1])] as const;
}

function place() {
  return { kind: "nats", stateDir: stores.dirs[0], addresses: [stores.nats.url], nats: {} } as const;
}

const state = (agent: string, key = MINE, sequence = 5) => signedState(agent, { key, sequence });

test("a decision at one server counts at the other within seconds, and after restarts without NATS", async () => {
  const [one, other] = await twoServers();
  one.agents.judge("gpu-1", state("gpu-1"));
  one.keeper.save("keys");
  await until(() => other.keyOf("gpu-1") === MINE.id);
  expect(other.agents.judge("gpu-1", state("gpu-1", OTHER)).counts).toBe(false);
  trustKey(one.agents, "gpu-1", rawKey(OTHER));
  one.keeper.save("keys");
  await until(() => other.keyOf("gpu-1") === OTHER.id);
  expect(other.agents.key("gpu-1")?.status).toBe("confirmed");
  expect(other.agents.judge("gpu-1", state("gpu-1", OTHER)).counts).toBe(true);
  trustUnsigned(other.agents, "gpu-1");
  other.keeper.save("keys");
  await until(() => one.keyOf("gpu-1") === OTHER.id && one.agents.key("gpu-1")?.status === "unsigned");
  await one.stop();
  await stores.nats.kill();
  const again = await server(stores.dirs[0]);
  expect(again.agents.key("gpu-1")).toMatchObject({ id: OTHER.id, status: "unsigned" });
});

test("two servers that see different first keys of an agent at the same time remember one of them", async () => {
  const [one, other] = await twoServers();
  const names = Array.from({ length: 20 }, (_, index) => `gpu-${index}`);
  for (const name of names) {
    one.agents.judge(name, state(name, MINE));
    other.agents.judge(name, state(name, OTHER));
  }
  one.keeper.save("keys");
  other.keeper.save("keys");
  const known = (of: typeof one): (string | null)[] => names.map((name) => of.keyOf(name));
  await until(() => Bun.deepEquals(known(one), known(other)));
  const agreed = known(one);
  for (const each of [one, other]) each.keeper.round("all");
  await Bun.sleep(50);
  expect([known(one), known(other)]).toEqual([agreed, agreed]);
  await one.stop();
  expect(known(await server(stores.dirs[0]))).toEqual(agreed);
});

test("a first key that one server has recorded beats one that another saw while it was cut off", async () => {
  const [one, other] = await twoServers();
  await one.stop();
  other.agents.judge("gpu-1", state("gpu-1", OTHER));
  other.keeper.save("keys");
  await until(async () => (await recorded("gpu-1")) !== null);
  await stores.nats.kill();
  const again = await server(stores.dirs[0]);
  again.agents.judge("gpu-1", state("gpu-1", MINE));
  expect(again.keyOf("gpu-1")).toBe(MINE.id);
  await stores.nats.restart();
  await until(() => again.keyOf("gpu-1") === OTHER.id);
  expect(other.keyOf("gpu-1")).toBe(OTHER.id);
});

test("of two decisions that were made apart the later one counts everywhere", async () => {
  const [one, other] = await twoServers();
  await stores.nats.kill();
  for (const [index, { agents, keeper }] of [one, other].entries()) {
    trustKey(agents, "gpu-1", rawKey(index === 0 ? MINE : OTHER));
    keeper.save("keys");
    await Bun.sleep(5);
  }
  await stores.nats.restart();
  await until(() => one.keyOf("gpu-1") === OTHER.id);
  await Bun.sleep(50);
  expect([one.keyOf("gpu-1"), other.keyOf("gpu-1")]).toEqual([OTHER.id, OTHER.id]);
});

test("gpu-server trust decides for all servers, and while NATS is away for its own, which passes it on", async () => {
  const printed: string[] = [];
  const print = (text: string): void => void printed.push(text);
  const [own, other] = [await server(storeDir(place())), await server(stores.dirs[1])];
  await trustAgent(place(), "gpu-1", { key: rawKey(MINE), seen: null }, print);
  for (const each of [own, other]) await until(() => each.keyOf("gpu-1") === MINE.id);
  await stores.nats.kill();
  await trustAgent(place(), "gpu-1", { key: rawKey(OTHER), seen: null }, print);
  await until(() => own.keyOf("gpu-1") === OTHER.id);
  expect(other.keyOf("gpu-1")).toBe(MINE.id);
  expect(printed.at(-1)).toStartWith("The other servers get it once this one reaches NATS.");
  await stores.nats.restart();
  await until(() => other.keyOf("gpu-1") === OTHER.id);
});

test("a decision keeps the position of each server, and one after a restored box begins it again", async () => {
  const [one, other] = await twoServers();
  one.agents.judge("gpu-1", state("gpu-1", MINE, 100));
  one.keeper.save("all");
  await until(() => other.keyOf("gpu-1") === MINE.id);
  other.agents.judge("gpu-1", state("gpu-1", MINE, 300));
  other.keeper.save("all");
  trustKey(one.agents, "gpu-1", undefined);
  one.keeper.save("keys");
  await until(() => other.keyOf("gpu-1") !== null && other.agents.key("gpu-1")?.status === "confirmed");
  expect(other.agents.known("gpu-1")?.sequence).toBe(300);
  expect(one.agents.judge("gpu-1", state("gpu-1", MINE, 1)).counts).toBe(false);
  trustKey(one.agents, "gpu-1", rawKey(MINE));
  one.keeper.save("keys");
  await until(() => other.keyOf("gpu-1") !== null && other.agents.known("gpu-1")?.sequence === 0);
});

test("keys stay known when the bucket was made again, and go there again", async () => {
  const [one, other] = await twoServers();
  trustKey(one.agents, "gpu-1", rawKey(MINE));
  one.agents.judge("gpu-2", state("gpu-2", OTHER));
  one.keeper.save("keys");
  for (const name of ["gpu-1", "gpu-2"]) await until(() => other.keyOf(name) !== null);
  for (const { stop } of [one, other]) await stop();
  const nats = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(nats)).streams.delete("KV_gpu_courier_server");
  await nats.close();
  const again = await server(stores.dirs[1]);
  expect([again.keyOf("gpu-1"), again.keyOf("gpu-2")]).toEqual([MINE.id, OTHER.id]);
  for (const [name, status] of [
    ["gpu-1", "confirmed"],
    ["gpu-2", "first use"],
  ] as const)
    await until(async () => (await recorded(name))?.status === status);
});

test("an agent of first use that one server no longer remembers is forgotten by all, and a decided one by none", async () => {
  const [one, other] = await twoServers();
  trustKey(one.agents, "gpu-1", rawKey(MINE));
  one.agents.judge("gpu-2", state("gpu-2"));
  one.keeper.save("keys");
  for (const name of ["gpu-1", "gpu-2"]) await until(() => other.keyOf(name) !== null);
  const displaced = new Set(["gpu-1", "gpu-2"]);
  one.store.knownAgents.write({ displaced, learned: new Map(), decided: new Map(), seen: new Map() });
  await until(() => other.keyOf("gpu-2") === null);
  expect([one.keyOf("gpu-1"), other.keyOf("gpu-1")]).toEqual([MINE.id, MINE.id]);
});

/** As it is on NATS. */
async function recorded(agent: string): Promise<{ readonly status: string } | null> {
  const nats = await connect({ servers: stores.nats.url });
  const { direct } = await jetstreamManager(nats);
  const subject = `$KV.gpu_courier_server.known_agent.${agent}`;
  const entry = await direct.getMessage("KV_gpu_courier_server", { last_by_subj: subject }).catch(() => null);
  await nats.close();
  return entry === null || entry.data.length === 0 ? null : entry.json<{ readonly status: string }>();
}
