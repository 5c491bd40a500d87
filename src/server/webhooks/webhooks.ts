// The webhooks of gpu-server: what happens on the fleet is queued in the store, and sent from there.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import type { WatchedFleet } from "../../courier/index/watched_fleet.ts";
import type { JobFeed } from "../fleet/job_feed.ts";
import type { EndedJobs } from "../store/ended_jobs.ts";
import { openPost, type Post } from "./http/post.ts";
import { Outbox } from "./queue/outbox.ts";
import { QUEUE_LIMITS, WebhookQueue } from "./queue/queue.ts";
import type { SharedQueue } from "./queue/shared_queue.ts";
import { WebhookTables } from "./queue/tables.ts";
import { Sender } from "./sender.ts";
import type { WebhookSettings } from "./settings.ts";
import { Watcher } from "./watcher.ts";

export interface WebhooksDeps {
  readonly database: Database;
  readonly feed: Pick<JobFeed, "listen">;
  readonly ended: Pick<EndedJobs, "after" | "last">;
  readonly fleet: Pick<WatchedFleet, "index">;
  readonly clock: Clock;
  readonly log: Log;
  /** By default over HTTP. */
  readonly post?: Post;
  readonly limits?: typeof QUEUE_LIMITS;
  /** With other servers, of which one sends; null: this server is alone. */
  readonly shared: SharedQueue | null;
}

interface Parts {
  readonly watcher: Watcher;
  readonly sender: Sender;
  readonly queue: WebhookQueue;
  readonly store: Outage;
  readonly clock: Clock;
  readonly shared: SharedQueue | null;
}

export class Webhooks {
  /** The targets with their counters, and the deliveries. */
  readonly tables: WebhookTables;
  readonly #parts: Parts | null;

  /** @param settings null: there are no targets, and nothing runs */
  constructor(settings: WebhookSettings | null, deps: WebhooksDeps) {
    const { database, ended, clock, log, post, limits = QUEUE_LIMITS, shared } = deps;
    const sends = (): boolean => shared?.sends ?? true;
    const queue = new WebhookQueue(database, limits, sends);
    this.tables = new WebhookTables(database);
    queue.configure(settings?.targets ?? [], ended.last, clock.now(), shared);
    if (settings === null) {
      this.#parts = null;
      return;
    }
    const outbox = new Outbox(database);
    const store = new Outage({ ...deps, subject: "The queue of webhooks" });
    const attempted = (): void => shared?.wake();
    const sender = new Sender({
      ...deps,
      ...settings,
      outbox,
      sends,
      attempted,
      store,
      post: post ?? openPost(settings),
    });
    const watcher = new Watcher({ ...deps, queue, store, added: () => sender.wake() });
    shared?.listen((changed) => {
      watcher.changed(changed);
      sender.wake();
    });
    this.#parts = { watcher, sender, queue, store, clock, shared };
    log.info({ webhooks: settings.targets.map(({ address }) => address) }, "Events are sent to webhooks");
  }

  /** Why targets take no events, for people; null: they do. */
  get trouble(): string | null {
    return this.#parts?.sender.trouble ?? null;
  }

  /** Queues and sends until `stop` aborts; what is under way then has 2 s. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    if (this.#parts === null) return;
    const { watcher, sender, queue, store, clock, shared } = this.#parts;
    const send = async (signal: AbortSignal): Promise<void> => await sender.run(signal);
    await Promise.all([watcher.run(stop), shared === null ? send(stop) : shared.whileSending(stop, send)]);
    try {
      queue.leaveTargets(clock.now());
    } catch (error) {
      store.failed("end", error);
    }
  }
}
