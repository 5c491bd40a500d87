// Opens and closes the inboxes that the agent listens to. Imports the seam, worker, outage.
import type { Outage } from "../../base/outage.ts";
import type { Closable, Holder, Inbox, Transport } from "../../transport.ts";
import type { Worker } from "./worker.ts";

export class Intake {
  readonly #transport: Transport;
  readonly #worker: Worker;
  readonly #outage: Outage;
  readonly #open = new Map<"own" | "shared", Promise<Closable>>();
  readonly #agent: string;

  constructor(transport: Transport, worker: Worker, agent: string, outage: Outage) {
    this.#transport = transport;
    this.#worker = worker;
    this.#agent = agent;
    this.#outage = outage;
  }

  isOpen(which: "own" | "shared"): boolean {
    return this.#open.has(which);
  }

  /** Listens to an inbox; nothing when it does already. @throws CourierError `unavailable`: try again */
  async open(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which) ?? this.#subscribe(which);
    this.#open.set(which, opening);
    try {
      await opening;
    } catch (error) {
      if (this.#open.get(which) === opening) this.#open.delete(which);
      throw error;
    }
  }

  async #subscribe(which: "own" | "shared"): Promise<Closable> {
    const inbox: Inbox = which === "shared" ? "shared" : { agent: this.#agent };
    await this.#transport.openInbox(inbox);
    const closed = new AbortController();
    const subscribed = { sinceMs: this.#transport.now(), closed: closed.signal };
    const subscription = await this.#transport.receive(inbox, {
      deliver: (delivery) => this.#worker.take(delivery, subscribed),
      refuse: (name, reason) => this.#worker.refuseName(name, reason),
      interrupted: (error) => this.#outage.failed(`inbox ${which}`, error),
      restored: () => this.#outage.ended(`inbox ${which}`),
    });
    return {
      close: async () => {
        closed.abort();
        await subscription.close();
      },
    };
  }

  /**
   * Takes up again what this agent claimed in the shared inbox before it ended, anyone who serves that now.
   * @throws CourierError `unavailable`: try again
   */
  async resume(holder: Holder): Promise<void> {
    const subscribed = { sinceMs: this.#transport.now(), closed: new AbortController().signal };
    for (const delivery of await this.#transport.claimedBy(holder)) this.#worker.take(delivery, subscribed);
  }

  /** Takes nothing more from an inbox, also from one that is just being opened. What was taken goes on. */
  async close(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which);
    this.#open.delete(which);
    this.#outage.ended(`inbox ${which}`);
    // That it could not be opened is told to who opens it.
    const subscription = await opening?.catch(() => null);
    await subscription?.close();
  }
}
