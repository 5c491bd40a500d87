// Webhooks on a store on the disk and a fleet in memory, over the lives of several servers, with receivers that verify.
import type { Database } from "bun:sqlite";
import { setSystemTime } from "bun:test";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { type Log, silentLog } from "#src/base/log.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Courier } from "#src/courier.ts";
import type { Job } from "#src/protocol.ts";
import { JobFeed } from "#src/server/fleet/job_feed.ts";
import { EndedJobs } from "#src/server/store/ended_jobs.ts";
import { openStore } from "#src/server/store/store.ts";
import { WebhookEvent } from "#src/server/webhooks/documents.ts";
import type { Reply, Request } from "#src/server/webhooks/http/post.ts";
import { parseSecrets } from "#src/server/webhooks/http/signature.ts";
import { QUEUE_LIMITS } from "#src/server/webhooks/queue/queue.ts";
import type { SharedQueue } from "#src/server/webhooks/queue/shared_queue.ts";
import type { Target } from "#src/server/webhooks/settings.ts";
import { Webhooks } from "#src/server/webhooks/webhooks.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;

/** An attempt that reached a receiver. */
export interface Received {
  readonly host: string;
  readonly id: string;
  readonly atMs: number;
  readonly event: WebhookEvent;
}

export type Answer = (received: Received) => Partial<Reply> | Promise<Partial<Reply>>;

export function targetAt(host: string): Target {
  return { id: host, url: new URL(`https://${host}/hook`), address: `https://${host}` };
}

export class WebhookSite {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly received: Received[] = [];
  readonly #dir = memoryDir("gpu-courier-webhooks-");
  readonly #lives: Life[] = [];
  /** What receivers answer; null: nobody listens. */
  answer: Answer | null = () => ({ status: 204 });

  /** Starts a server. */
  async start({
    hosts = ["hooks.test"],
    limits = QUEUE_LIMITS,
    log = silentLog,
    shared = null,
  }: {
    hosts?: readonly string[];
    limits?: typeof QUEUE_LIMITS;
    log?: Log;
    shared?: SharedQueue | null;
  } = {}): Promise<Life> {
    const life = new Life(openStore(this.#dir), this, { hosts, limits, log, shared });
    this.#lives.push(life);
    await life.open();
    return life;
  }

  /** Changes the store beside the servers, so that a part of their work fails, or works again. */
  changeStore(sql: string): void {
    const database = openStore(this.#dir);
    database.run(sql);
    database.close();
  }

  /** The ids of the accepted attempts, or those about it, by subject. */
  idsOf(type: WebhookEvent["type"], host = "hooks.test"): string[] {
    return this.received.filter(({ host: of, event }) => of === host && event.type === type).map(({ id }) => id);
  }

  async close(): Promise<void> {
    for (const life of this.#lives) await life.crash();
    rmSync(this.#dir, { recursive: true });
  }

  /** As a receiver takes it: verified before anything else. */
  async post({ url, headers, body }: Request): Promise<Reply> {
    if (this.answer === null) throw Object.assign(new Error("Nobody listens"), { code: "ECONNREFUSED" });
    setSystemTime(new Date(this.clock.now()));
    const event = WebhookEvent.parse(new Webhook(SECRET).verify(body, headers));
    setSystemTime();
    const received = { host: url.host, id: headers["webhook-id"] ?? "", atMs: this.clock.now(), event };
    this.received.push(received);
    return { status: 204, retryAfter: null, ...(await this.answer(received)) };
  }
}

interface LifeOptions {
  readonly hosts: readonly string[];
  readonly limits: typeof QUEUE_LIMITS;
  readonly log: Log;
  readonly shared: SharedQueue | null;
}

/** One server, from its start to its end. */
class Life {
  readonly feed: JobFeed;
  readonly webhooks: Webhooks;
  readonly ended: EndedJobs;
  readonly #database: Database;
  readonly #fleet: WatchedFleet;
  readonly #transport;
  readonly #stop = new AbortController();
  readonly #clock: ManualClock;
  #running: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(database: Database, site: WebhookSite, { hosts, limits, log, shared }: LifeOptions) {
    const { clock, store } = site;
    this.#database = database;
    this.#clock = clock;
    this.#transport = store.open();
    this.#fleet = new WatchedFleet({ transport: this.#transport, clock, log: silentLog });
    const courier = new Courier(this.#transport, { sender: "server", timeoutMs: 1_000, clock, fleet: this.#fleet });
    this.ended = new EndedJobs(database, courier);
    this.feed = new JobFeed({ fleet: this.#fleet, courier, ended: this.ended, clock, log: silentLog });
    const settings = { targets: hosts.map(targetAt), secrets: parseSecrets(SECRET, "test"), ca: null };
    const post = async (request: Request): Promise<Reply> => await site.post(request);
    this.webhooks = new Webhooks(hosts.length === 0 ? null : settings, {
      database,
      feed: this.feed,
      ended: this.ended,
      fleet: this.#fleet,
      clock,
      log,
      post,
      limits,
      shared,
    });
  }

  async open(): Promise<void> {
    this.#running = this.webhooks.run(this.#stop.signal);
    await this.#transport.connect();
    await this.#fleet.open();
    await this.#clock.advance(200);
  }

  /** Jobs that end now, and some time for their events. */
  async end(...jobs: readonly Job[]): Promise<void> {
    this.feed.addEnds(jobs);
    await this.#clock.advance(200);
  }

  states(host = "hooks.test"): string[] {
    const deliveries = this.webhooks.tables.deliveries({ target: host }, { limit: 10_000 });
    return deliveries.map(({ state }) => state).toReversed();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.feed.close();
    await this.#clock.advance(2_000);
    await this.#running;
    await this.crash();
  }

  /** Without any farewell: what is under way finds the store closed. */
  async crash(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#database.close();
    this.#stop.abort();
    this.feed.close();
    await this.#fleet.close();
    await this.#transport.close();
  }
}
