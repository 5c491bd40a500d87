// Opens and closes the inboxes that the agent listens to. Imports the seam, worker, errors.
import { asCourierError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Closable, Inbox, Transport } from "../transport.ts";
import type { Worker } from "./worker.ts";

export class Intake {
  readonly #transport: Transport;
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #open = new Map<"own" | "shared", Closable>();
  readonly #agent: string;

  constructor(transport: Transport, worker: Worker, agent: string, log: Log) {
    this.#transport = transport;
    this.#worker = worker;
    this.#agent = agent;
    this.#log = log;
  }

  isOpen(which: "own" | "shared"): boolean {
    return this.#open.has(which);
  }

  /** Listens to an inbox; nothing when it does already. @throws CourierError `unavailable`: try again */
  async open(which: "own" | "shared"): Promise<void> {
    if (this.#open.has(which)) return;
    const inbox: Inbox = which === "shared" ? "shared" : { agent: this.#agent };
    await this.#transport.openInbox(inbox);
    const sinceMs = this.#transport.now();
    const subscription = await this.#transport.receive(inbox, {
      deliver: (delivery) => this.#worker.take(delivery, sinceMs),
      refuse: (name, reason) => this.#worker.refuseName(name, reason),
      interrupted: (error) => {
        const { message, hint } = asCourierError(error);
        this.#log.warn({ inbox: which, reason: message, hint }, "Cannot read the inbox; trying on");
      },
      restored: () => this.#log.info({ inbox: which }, "The inbox can be read again"),
    });
    this.#open.set(which, subscription);
  }

  /** Takes nothing more from an inbox. What was taken goes on. */
  async close(which: "own" | "shared"): Promise<void> {
    const subscription = this.#open.get(which);
    this.#open.delete(which);
    await subscription?.close();
  }
}
