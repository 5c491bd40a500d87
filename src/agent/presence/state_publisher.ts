// Publishes the agent's state document: at every change, at most twice a second for progress, and as heartbeats in between.
import type { Clock } from "../../base/clock.ts";
import type { Outage } from "../../base/outage.ts";
import { isNews, type StateText, takeApart } from "../../base/state_text.ts";
import type { Transport } from "../../transport.ts";
import type { NameGuard } from "./name_guard.ts";
import type { NextState, StateDocument } from "./state_document.ts";

export interface StatePublisherDeps {
  readonly agent: string;
  readonly transport: Pick<Transport, "publishState" | "renewState" | "now">;
  readonly document: Pick<StateDocument, "next">;
  readonly guard: Pick<NameGuard, "mayPublish" | "published">;
  readonly outage: Pick<Outage, "failed" | "ended">;
  readonly clock: Clock;
}

const PROGRESS_INTERVAL_MS = 500;

export class StatePublisher {
  readonly #deps: StatePublisherDeps;
  #publishing: Promise<boolean> | undefined;
  #again: Promise<boolean> | undefined;
  #hasPublished = false;
  /** When a publication last ended, successful or not. */
  #triedAtMs = -Infinity;
  #progressIsDue = false;
  /** The last document that was published whole. */
  #document: { readonly parts: StateText; readonly atMs: number } | undefined;
  readonly #closed = new AbortController();

  constructor(deps: StatePublisherDeps) {
    this.#deps = deps;
  }

  /** Whether a publication succeeded: before that, a document under this name may be from before a crash. */
  get hasPublished(): boolean {
    return this.#hasPublished;
  }

  /**
   * Publishes the state as it is now; calls during a publication share the next one.
   * @returns whether it is published: not while another agent has the name; a failure is logged as an outage, and the next round tries again
   */
  async publish(): Promise<boolean> {
    if (this.#publishing === undefined) {
      this.#publishing = this.#publishNow().finally(() => {
        this.#publishing = undefined;
      });
      return await this.#publishing;
    }
    const current = this.#publishing;
    this.#again ??= current.then(async () => {
      this.#again = undefined;
      return await this.publish();
    });
    return await this.#again;
  }

  /** Publishes at once for a change of state, within 500 ms for progress. */
  changed(what: "state" | "progress"): void {
    if (what === "state") void this.publish();
    else void this.publishPaced();
  }

  /** Publishes 500 ms after the last attempt or later; does nothing while such a publication is due anyway. */
  async publishPaced(): Promise<void> {
    if (this.#progressIsDue) return;
    const { clock } = this.#deps;
    const { signal } = this.#closed;
    this.#progressIsDue = true;
    const dueInMs = (): number => this.#triedAtMs + PROGRESS_INTERVAL_MS - clock.monotonic();
    while (dueInMs() > 0 && !signal.aborted) await clock.sleep(dueInMs(), signal);
    this.#progressIsDue = false;
    if (!signal.aborted) await this.publish();
  }

  /** Publishes the whole document, because it is no longer there. */
  async publishAgain(): Promise<void> {
    this.#document = undefined;
    await this.publishPaced();
  }

  /** Ends paced publications; `publish()` still works. */
  close(): void {
    this.#closed.abort();
  }

  async #publishNow(): Promise<boolean> {
    const { transport, document, guard, clock, outage } = this.#deps;
    try {
      const isMine = await guard.mayPublish();
      if (isMine) {
        await this.#send(document.next(clock.now(), transport.now()));
        guard.published();
        this.#hasPublished = true;
      }
      outage.ended("state");
      return isMine;
    } catch (error) {
      outage.failed("state", error);
      return false;
    } finally {
      this.#triedAtMs = clock.monotonic();
    }
  }

  /** A heartbeat is enough while nothing has changed that matters. */
  async #send({ text, sequence, diskBytes }: NextState): Promise<void> {
    const { agent, transport, clock } = this.#deps;
    const parts = takeApart(text);
    const atMs = clock.monotonic();
    const last = this.#document;
    if (last !== undefined && !isNews(last.parts, parts, { ageMs: atMs - last.atMs, diskBytes }))
      return await transport.renewState(agent, sequence, text);
    // A publication that fails may have reached readers anyway.
    this.#document = undefined;
    await transport.publishState(agent, text);
    this.#document = { parts, atMs };
  }
}
