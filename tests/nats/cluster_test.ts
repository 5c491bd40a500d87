// Three nats-servers with three replicas: their leader is killed under load, and the one that answers may be behind.
// NATS_FAULTS=long sends 1,000 commands and kills ten leaders.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import type { BucketName } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Delivery, StateRecord, Transport } from "#src/transport.ts";
import { codeOf, DURABLE, textOf } from "#tests/support/nats/nats_bed.ts";
import { NatsCluster, SERVERS } from "#tests/support/nats/nats_cluster.ts";
import { until } from "#tests/support/until.ts";
import { Heard, HeardReplies } from "#tests/transport/conformance/heard.ts";
import { AGENTS, FaultSite } from "./faults/site.ts";
import { describeTally, Load, type Task } from "./faults/tasks.ts";

const isLong = process.env["NATS_FAULTS"] === "long";
const COMMANDS = isLong ? 1_000 : 60;
const KILLS: readonly BucketName[] = (["commands", "responses", "states", "presence"] as const).slice(
  0,
  isLong ? 4 : 1,
);
const ROUNDS = isLong ? 3 : 1;
const BETWEEN_KILLS_MS = 3_000;
const TIMEOUT_MS = 4_000;

let cluster: NatsCluster;
const handles: Transport[] = [];
beforeAll(async () => {
  cluster = await NatsCluster.start();
});
afterAll(async () => {
  await Promise.all(handles.map(async (handle) => await handle.close()));
  await cluster.stop();
});

interface AgentNear {
  readonly name: string;
  readonly agent: Transport;
  /** Of each command, how long it was under way, in ms. */
  readonly waits: number[];
}

/** An agent that is connected to one of the servers. */
async function agentNear(server: number): Promise<AgentNear> {
  const name = `near-${server}`;
  const agent = await open(server, name);
  await agent.openInbox({ agent: name });
  const waits: number[] = [];
  const deliver = (delivery: Delivery): void => void waits.push(Date.now() - Number(textOf(delivery)));
  await agent.receive({ agent: name }, { deliver });
  return { name, agent, waits };
}

/** Connected to one server; to any of them without a number. */
async function open(server?: number, identity?: string): Promise<Transport> {
  const url = server === undefined ? cluster.url : `nats://127.0.0.1:${cluster.ports[server % SERVERS]}`;
  const options = { identity, clock: systemClock, log: silentLog, replicas: SERVERS };
  const handle = new NatsTransport(parseNatsAddress(url), options);
  handles.push(handle);
  await handle.connect();
  return handle;
}

test("a command from any server to any server is delivered soon, and answered, although reads may be answered by one behind", async () => {
  const senders = [await open(0), await open(1), await open(2)];
  const agents = [await agentNear(0), await agentNear(1), await agentNear(2)];
  for (let round = 0; round < 30; round++)
    await Promise.all(
      senders.flatMap((sender, from) =>
        agents.map(
          async ({ name }) => await sender.send({ agent: name }, `r${round}-${from}`, String(Date.now()), DURABLE),
        ),
      ),
    );
  await until(() => agents.every(({ waits }) => waits.length === 30 * senders.length), 20_000);
  const waits = agents.flatMap((each) => each.waits).toSorted((a, b) => a - b);
  process.stderr.write(`delivered after ${waits[waits.length >> 1]} ms, at most ${waits.at(-1)} ms\n`);
  // The next look of an agent would be 30 s later.
  expect(waits.at(-1)).toBeLessThan(5_000);
  for (let round = 0; round < 20; round++) {
    const address = { replyTo: `ctl-${round}` };
    const heard = await HeardReplies.at(senders[round % SERVERS] ?? (await open()), address);
    const answers = agents.map(async ({ agent }, at) => await agent.respond(address, `a${at}`, "{}", DURABLE));
    expect(await Promise.all(answers)).toEqual([true, true, true]);
    await until(() => heard.ids.length === SERVERS);
    await heard.close();
  }
  for (const { agent } of agents) expect(Math.abs(agent.now() - Date.now())).toBeLessThan(1_000);
}, 60_000);

test("withdraw() right after send() withdraws, at every server", async () => {
  const agent = await open(0, "away");
  await agent.openInbox({ agent: "away" });
  for (let round = 0; round < 30; round++) {
    const sender = await open(round);
    await sender.send({ agent: "away" }, `w${round}`, "{}", DURABLE);
    expect(await sender.withdraw({ agent: "away" }, `w${round}`)).toBe(true);
    await sender.close();
  }
  const heard = await Heard.at(agent, { agent: "away" });
  await until(() => heard.completions.length === 1);
  expect(heard.ids).toEqual([]);
}, 60_000);

test("watchStates() goes on when the server that leads the states is killed", async () => {
  const records: StateRecord[] = [];
  const watching = await open();
  await watching.watchStates({
    changed: (record) => void records.push(record),
    alive: () => undefined,
    removed: () => undefined,
    synced: () => undefined,
    interrupted: () => undefined,
    restored: () => undefined,
    away: () => undefined,
  });
  const agent = await open(undefined, "watched");
  const texts = (): readonly string[] => records.filter((record) => record.agent === "watched").map(textOf);
  await agent.publishState("watched", '{"n":1}');
  await until(() => texts().includes('{"n":1}'));
  const leader = await cluster.leader("states");
  await leader.kill();
  await until(async () => (await codeOf(agent.publishState("watched", '{"n":2}'))) === "done");
  await until(() => texts().includes('{"n":2}'), 30_000);
  await leader.restart();
  expect([...new Set(texts())]).toEqual(['{"n":1}', '{"n":2}']);
}, 60_000);

test(`${COMMANDS} changing commands while leaders of three servers are killed: 0 lost, 0 doubled`, async () => {
  const tasks = Array.from({ length: COMMANDS }, (_, number): Task => {
    const agent = AGENTS[number % AGENTS.length] ?? AGENTS[0];
    return { agent, verb: number % 10 < 2 ? "pull_model" : "delete_model", model: `m${number}:latest` };
  });
  const kills = Array.from({ length: ROUNDS }, () => KILLS).flat();
  const spreadMs = (kills.length + 1) * BETWEEN_KILLS_MS;
  const site = await FaultSite.open({ tasks, timeoutMs: TIMEOUT_MS, ports: cluster.ports, replicas: SERVERS });
  try {
    const load = new Load({ fronts: site.fronts, asks: site.asks, lanes: 8, timeoutMs: TIMEOUT_MS, spreadMs });
    const [tally] = await Promise.all([load.run(tasks), killLeaders(kills)]);
    process.stderr.write(`${describeTally(COMMANDS, tally)}, ${kills.length} leaders killed\n`);
    expect([tally.lost, tally.doubled]).toEqual([[], []]);
  } finally {
    await site.close();
  }
}, 300_000);

async function killLeaders(buckets: readonly BucketName[]): Promise<void> {
  for (const bucket of buckets) {
    await Bun.sleep(BETWEEN_KILLS_MS / 2);
    const leader = await cluster.leader(bucket);
    await leader.kill();
    await Bun.sleep(BETWEEN_KILLS_MS / 2);
    await leader.restart();
  }
}
