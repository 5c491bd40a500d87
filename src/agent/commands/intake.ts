// Opens and closes the inboxes that the agent listens to.
import type { Outage } from "../../base/outage.ts";
import type { Closable, Holder, Inbox, Transport } from "../../transport.ts";
import type { Gathering } from "./gathering.ts";
import type { Worker } from "./worker.ts";

export interface IntakeDeps {
  readonly agent: string;
  readonly transport: Pick<Transport, "now" | "openInbox" | "receive" | "claimedBy">;
  readonly worker: Pick<Worker, "take" | "refuseName">;
  /** Waits while an inbox that is open cannot be listed. */
  readonly gathering: Pick<Gathering, "wait" | "done">;
  readonly outage: Pick<Outage, "failed" | "ended">;
  /** True from the moment that the shared inbox is being opened. */
  readonly condition: { servesSharedInbox: boolean };
}

/** What changing commands wait for at the start. */
export const FIRST_INBOXES = "first inboxes";

export class Intake {
  readonly #deps: IntakeDeps;
  readonly #open = new Map<"own" | "shared", Promise<Closable>>();

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Every inbox that this agent serves is open: changing commands may begin. */
  complete(): void {
    this.#deps.gathering.done(FIRST_INBOXES);
  }

  /** Listens to an inbox, unless it does already. @throws CourierError `unavailable`: try again */
  async open(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which) ?? this.#subscribe(which);
    this.#set(which, opening);
    try {
      await opening;
    } catch (error) {
      if (this.#open.get(which) === opening) this.#set(which, null);
      throw error;
    }
  }

  /**
   * Resumes the commands that this agent claimed in the shared inbox before it ended, whichever agent serves that now.
   * @throws CourierError `unavailable`: try again
   */
  async resume(holder: Holder): Promise<void> {
    const { transport, worker } = this.#deps;
    const subscribed = { sinceMs: transport.now(), closed: new AbortController().signal };
    for (const delivery of await transport.claimedBy(holder)) worker.take(delivery, subscribed);
  }

  /** Takes nothing more from an inbox, also from one that is still being opened. Commands that were taken go on. */
  async close(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which);
    this.#set(which, null);
    this.#restored(which);
    // The caller of open() gets its failure.
    const subscription = await opening?.catch(() => null);
    await subscription?.close();
  }

  async #subscribe(which: "own" | "shared"): Promise<Closable> {
    const { agent, transport, worker, gathering, outage } = this.#deps;
    const inbox: Inbox = which === "shared" ? "shared" : { agent };
    await transport.openInbox(inbox);
    const closed = new AbortController();
    const subscribed = { sinceMs: transport.now(), closed: closed.signal };
    const subscription = await transport.receive(inbox, {
      deliver: (delivery) => worker.take(delivery, subscribed),
      refuse: (name, reason) => worker.refuseName(name, reason),
      interrupted: (error) => {
        gathering.wait(which);
        outage.failed(`inbox ${which}`, error);
      },
      restored: () => this.#restored(which),
    });
    return {
      close: async () => {
        closed.abort();
        await subscription.close();
      },
    };
  }

  #restored(which: "own" | "shared"): void {
    this.#deps.outage.ended(`inbox ${which}`);
    this.#deps.gathering.done(which);
  }

  #set(which: "own" | "shared", opening: Promise<Closable> | null): void {
    if (opening === null) this.#open.delete(which);
    else this.#open.set(which, opening);
    if (which === "shared") this.#deps.condition.servesSharedInbox = opening !== null;
  }
}
