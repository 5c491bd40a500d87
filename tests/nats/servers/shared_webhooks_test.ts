// src/server/store/shared/logs/shared_webhooks.ts: of two servers with the same webhooks one sends, and the other one goes on.
import type { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { isoTime, systemClock } from "#src/base/clock.ts";
import { type Job, newPull } from "#src/protocol.ts";
import type { SharedStore } from "#src/server/store/shared/shared_store.ts";
import { openStore } from "#src/server/store/store.ts";
import { jobEnded } from "#src/server/webhooks/events.ts";
import { Outbox } from "#src/server/webhooks/queue/outbox.ts";
import { WebhookQueue } from "#src/server/webhooks/queue/queue.ts";
import { WebhookTables } from "#src/server/webhooks/queue/tables.ts";
import { until } from "#tests/support/until.ts";
import { SharedStores } from "./store.ts";

const TARGET = { id: "0123456789ab", url: new URL("https://hooks.test/"), address: "https://hooks.test" };
const LIMITS = { pending: 40, done: 100, cleanedEvery: 100 };

let stores: SharedStores;
const servers: Server[] = [];
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  await stores.close();
});

/** What a server has of webhooks, with a receiver that takes all that is sent while this server may send. */
class Server {
  readonly store: SharedStore;
  readonly sent: string[] = [];
  /** What the receiver answers; null: nothing is sent. */
  answers: number | null = 204;
  readonly #database: Database;
  readonly #queue: WebhookQueue;
  readonly #outbox: Outbox;
  readonly #stopped = new AbortController();
  readonly #stopStore: () => Promise<void>;
  #running: Promise<void> = Promise.resolve();

  static async open(dir: string): Promise<Server> {
    const { store, stop } = await stores.server(dir);
    const server = new Server(store, dir, stop);
    servers.push(server);
    return server;
  }

  private constructor(store: SharedStore, dir: string, stopStore: () => Promise<void>) {
    this.store = store;
    this.#stopStore = stopStore;
    this.#database = openStore(dir);
    this.#queue = new WebhookQueue(this.#database, LIMITS, () => store.webhooks.sends);
    this.#outbox = new Outbox(this.#database, () => 0);
    this.#queue.configure([TARGET], store.ends.last, systemClock.now(), store.webhooks);
  }

  run(): this {
    this.#running = this.store.webhooks.whileSending(this.#stopped.signal, async (sending) => {
      while (!sending.aborted) {
        this.takeEnds();
        while (this.answers !== null && this.#sendOne(this.answers)) {}
        this.store.webhooks.wake();
        await systemClock.sleep(5, sending);
      }
    });
    return this;
  }

  /** As the watcher does, whether this server sends or not. */
  takeEnds(): void {
    const nowMs = systemClock.now();
    const ends = this.store.ends.after(this.#queue.position, 100);
    if (ends.length > 0)
      this.#queue.addEnds(
        ends.map(({ number, job }) => ({ number, ...jobEnded(job, nowMs) })),
        nowMs,
      );
  }

  /** The ids of jobs whose events are in this state. */
  jobs(...states: readonly string[]): string[] {
    this.takeEnds();
    return new WebhookTables(this.#database)
      .deliveries({}, { limit: 1_000 })
      .filter(({ state, type }) => type === "job.ended" && states.includes(state))
      .map(({ subject }) => subject.replace("gpu-1/", ""));
  }

  agentEvents(): string[] {
    const deliveries = new WebhookTables(this.#database).deliveries({}, { limit: 1_000 });
    return deliveries.filter(({ type }) => type.startsWith("agent.")).map(({ id, type }) => `${type} ${id}`);
  }

  get counters() {
    const [target] = new WebhookTables(this.#database).targets(systemClock.now());
    return { pending: target?.pending, delivered: target?.delivered };
  }

  async stop(): Promise<void> {
    if (servers.includes(this)) servers.splice(servers.indexOf(this), 1);
    this.#stopped.abort();
    await this.#running;
    await this.#stopStore();
    this.#database.close();
  }

  #sendOne(status: number): boolean {
    const claimed = this.#outbox.claim(TARGET.id, systemClock.now());
    if (claimed === null) return false;
    this.sent.push(claimed.id);
    this.#outbox.delivered(TARGET.id, claimed.number, status, systemClock.now());
    return true;
  }
}

function end(id: string): Job {
  const at = isoTime(Date.now());
  return { ...newPull(id, "gpu-1", "phi4:latest"), state: "succeeded", ended_at: at };
}

async function endJobs(server: Server, ...ids: readonly string[]): Promise<void> {
  server.store.ends.add(ids.map(end));
  await server.store.ends.settled();
}

async function twoServers(): Promise<readonly [Server, Server]> {
  return [await Server.open(stores.dirs[0]), await Server.open(stores.dirs[1])];
}

test("one server sends, the other one knows what was sent, and sends the rest once the first is stopped", async () => {
  const [one, other] = await twoServers();
  one.run();
  await until(() => one.store.webhooks.sends);
  other.run();
  await endJobs(other, "a", "b");
  await until(() => other.jobs("delivered").length === 2);
  expect([one.sent.length, other.sent, other.counters]).toEqual([2, [], { pending: 0, delivered: 2 }]);
  one.answers = null;
  await endJobs(one, "c");
  await until(() => other.jobs("pending").includes("c"));
  await one.stop();
  await until(() => other.sent.length === 1);
  expect([other.jobs("delivered"), other.counters]).toEqual([["c", "b", "a"], { pending: 0, delivered: 3 }]);
});

test("of servers that begin at the same time exactly one sends", async () => {
  const [one, other] = await twoServers();
  one.run();
  other.run();
  await until(() => one.store.webhooks.sends || other.store.webhooks.sends);
  await endJobs(one, ...Array.from({ length: 30 }, (_, index) => `job-${index}`));
  await until(() => one.sent.length + other.sent.length >= 30);
  await Bun.sleep(100);
  expect([one.sent.length, other.sent.length].toSorted((a, b) => a - b)).toEqual([0, 30]);
});

test("a server that is new begins where the others with its target have come", async () => {
  const one = (await Server.open(stores.dirs[0])).run();
  await until(() => one.store.webhooks.sends && one.store.webhooks.startOf(TARGET.id) === 0);
  await endJobs(one, "a");
  await until(() => one.sent.length === 1);
  one.answers = null;
  await endJobs(one, "b");
  // Its first end is done on NATS.
  const watcher = await stores.server(`${stores.dirs[1]}/watcher`);
  await until(() => watcher.store.webhooks.startOf(TARGET.id) === 1);
  const other = await Server.open(stores.dirs[1]);
  expect(other.jobs("pending")).toEqual(["b"]);
});

test("a server that was away sends nothing that others did so long ago that NATS no longer has it", async () => {
  const [one, other] = await twoServers();
  one.answers = null;
  one.run();
  await until(() => one.store.webhooks.sends);
  await endJobs(one, "a");
  await until(() => other.jobs("pending").length === 1);
  await other.stop();
  one.answers = 204;
  await until(() => one.sent.length === 1);
  await one.stop();
  const nats = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(nats)).streams.delete("gpu_courier_webhooks");
  await nats.close();
  const again = (await Server.open(stores.dirs[0])).run();
  await until(() => again.store.webhooks.sends);
  await endJobs(again, "b");
  await until(() => again.sent.length === 1 && again.store.webhooks.doneUpTo(TARGET.id) === 2);
  const late = await Server.open(stores.dirs[1]);
  expect(late.jobs("pending")).toEqual([]);
});

test("deliveries of a time without NATS are shared afterwards, and nobody sends when the lease is over", async () => {
  const [one, other] = await twoServers();
  one.run();
  await until(() => one.store.webhooks.sends);
  other.run();
  one.answers = null;
  await endJobs(one, "a", "b");
  await until(() => other.jobs("pending").length === 2 && one.jobs("pending").length === 2);
  await stores.nats.kill();
  one.answers = 204;
  await until(() => one.sent.length === 2);
  await until(() => !one.store.webhooks.sends);
  expect(other.store.webhooks.sends).toBe(false);
  await stores.nats.restart();
  await until(() => other.jobs("delivered").length === 2);
  // The other one may begin before it has heard of them.
  expect(new Set([...one.sent, ...other.sent]).size).toBe(2);
});

test("a server that does not send drops no event because of the bound, and one that sends shares what it drops", async () => {
  const [one, other] = await twoServers();
  await endJobs(one, ...Array.from({ length: 45 }, (_, index) => `job-${index}`));
  await until(() => other.jobs("pending").length === 45);
  one.answers = null;
  one.run();
  await until(() => one.store.webhooks.sends);
  await endJobs(one, "last");
  await until(() => one.jobs("dropped").length === 6 && other.jobs("dropped").length === 6);
  expect(other.jobs("pending")).toEqual(one.jobs("pending"));
});

test("the event of an agent has the same id at all servers, and of two reports of a change one counts", async () => {
  const [one, other] = await twoServers();
  const report = async (server: Server, number: number): Promise<void> => {
    const event = { id: `msg_${number}`, type: "agent.away", subject: "gpu-1", body: "{}" } as const;
    await server.store.webhooks.report({ agent: "gpu-1", condition: "away", atMs: systemClock.now(), event });
  };
  await Promise.all([report(one, 1), report(other, 2)]);
  for (const each of [one, other]) await until(() => each.agentEvents().length === 1);
  expect(one.agentEvents()).toEqual(other.agentEvents());
  await report(other, 3);
  await until(() => one.agentEvents().length === 2);
});
