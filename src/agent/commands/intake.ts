// Opens and closes the inboxes that the agent listens to.
import { asCourierError } from "../../base/errors.ts";
import type { Outage } from "../../base/outage.ts";
import type { Closable, Holder, Inbox, Transport } from "../../transport.ts";
import type { Gathering } from "./gathering.ts";
import type { Worker } from "./worker.ts";

export interface IntakeDeps {
  readonly agent: string;
  readonly transport: Pick<Transport, "now" | "openInbox" | "receive" | "claimedBy">;
  readonly worker: Pick<Worker, "hasRoom" | "take" | "leave" | "refuseName">;
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
  /** Whose claims are still to be resumed. */
  #resuming: Holder | null = null;
  /** Keys of those that were taken: the worker takes them again, and the others get their turn. */
  readonly #resumed = new Set<string>();

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Every inbox that this agent serves is open: changing commands may begin. Tries again to resume what could not be read. */
  async settle(): Promise<void> {
    this.#deps.gathering.done(FIRST_INBOXES);
    if (this.#resuming !== null) await this.resume(this.#resuming);
  }

  /** Listens to an inbox, unless it does already. @throws CourierError `unavailable`: try again */
  async open(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which) ?? this.#subscribe(which);
    this.#set(which, opening);
    try {
      await opening;
    } catch (error) {
      if (this.#open.get(which) === opening) this.#set(which, null);
      this.#deps.gathering.done(which);
      throw error;
    }
  }

  /**
   * Resumes the commands that this agent claimed in the shared inbox before it ended, whichever agent serves that now. Where
   * they may not be read, `settle()` tries again.
   * @throws CourierError `unavailable`: try again
   */
  async resume(holder: Holder): Promise<void> {
    const { transport, worker, outage } = this.#deps;
    const subscribed = { sinceMs: transport.now(), closed: new AbortController().signal };
    this.#resuming = holder;
    try {
      for (const delivery of await transport.claimedBy(holder)) {
        if (this.#resumed.has(delivery.key)) continue;
        // The next `settle()` goes on.
        if (!worker.hasRoom("shared")) return;
        this.#resumed.add(delivery.key);
        worker.take(delivery, subscribed);
      }
    } catch (error) {
      if (asCourierError(error).code !== "forbidden") throw error;
      outage.failed("claims", error);
      return;
    }
    this.#resuming = null;
    this.#resumed.clear();
    outage.ended("claims");
  }

  /** Takes nothing more from an inbox, also from one that is still being opened. Commands that were taken go on. */
  async close(which: "own" | "shared"): Promise<void> {
    const opening = this.#open.get(which);
    this.#set(which, null);
    // The caller of open() gets its failure.
    const subscription = await opening?.catch(() => null);
    await subscription?.close();
    if (!this.#open.has(which)) this.#ended(which);
  }

  async #subscribe(which: "own" | "shared"): Promise<Closable> {
    const { agent, transport, worker, gathering, outage } = this.#deps;
    const inbox: Inbox = which === "shared" ? "shared" : { agent };
    await transport.openInbox(inbox);
    const closed = new AbortController();
    gathering.wait(which);
    const subscribed = { sinceMs: transport.now(), closed: closed.signal };
    const subscription = await transport.receive(inbox, {
      deliver: (delivery) => worker.take(delivery, subscribed),
      hasRoom: () => worker.hasRoom(inbox),
      waiting: (count) => worker.leave(which, count),
      refuse: (name, reason) => worker.refuseName(name, reason),
      complete: () => gathering.done(which),
      interrupted: (error) => {
        gathering.wait(which);
        outage.failed(`inbox ${which}`, error);
      },
      restored: () => outage.ended(`inbox ${which}`),
    });
    return {
      close: async () => {
        closed.abort();
        await subscription.close();
      },
    };
  }

  /** Nothing waits for it any more. */
  #ended(which: "own" | "shared"): void {
    this.#deps.worker.leave(which, 0);
    this.#deps.outage.ended(`inbox ${which}`);
    this.#deps.gathering.done(which);
  }

  #set(which: "own" | "shared", opening: Promise<Closable> | null): void {
    if (opening === null) this.#open.delete(which);
    else this.#open.set(which, opening);
    if (which === "shared") this.#deps.condition.servesSharedInbox = opening !== null;
  }
}
