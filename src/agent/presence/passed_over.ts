// The agents that are passed over: they were chosen to serve the shared inbox, and leave legacy backends without an answer.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Transport } from "../../transport.ts";

export interface PassedOverDeps {
  readonly transport: Pick<Transport, "now" | "commandsIn" | "respondedAtMs">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** The server sees a list within a second and answers at once. A legacy backend waits for 30 s. */
const UNANSWERED_MS = 10_000;
/** Less than a round of 5 s. One that has just started again may need a moment for the list that waits. */
const SEEN_AGAIN_MS = 4_000;
/** No sender waits longer for a list. */
const LIST_WAITS_MS = 60_000;
const PASSED_OVER_MS = 60_000;
/** A flood of lists costs no more calls than these. */
const LISTS_LOOKED_AT = 100;

interface Chosen {
  readonly agent: string;
  readonly sinceMs: number;
  /** Since when it seems to leave a list, on the monotonic clock. */
  leavesSinceMs: number | null;
}

export class PassedOver {
  readonly #deps: PassedOverDeps;
  /** When each counts again, on the monotonic clock. */
  readonly #untilMs = new Map<string, number>();
  #chosen: Chosen | null = null;

  constructor(deps: PassedOverDeps) {
    this.#deps = deps;
  }

  has(agent: string): boolean {
    return (this.#untilMs.get(agent) ?? Number.NEGATIVE_INFINITY) > this.#deps.clock.monotonic();
  }

  /**
   * Judges another agent that is chosen now: passes it over for a minute when it was chosen for the last 10 s and a list of
   * version 1 has no answer 10 s before its document last changed, also when looked at again. So one that lives as it seems
   * has left the list, and one that has crashed is waited for until it counts as silent.
   * @param silentMs how long its document has not changed
   * @returns whether it is passed over; while the lists cannot be looked for, as before
   */
  async judge(agent: string, silentMs: number): Promise<boolean> {
    const nowMs = this.#deps.clock.monotonic();
    if (this.#chosen?.agent !== agent) this.#chosen = { agent, sinceMs: nowMs, leavesSinceMs: null };
    const chosen = this.#chosen;
    const leaves = nowMs - chosen.sinceMs >= UNANSWERED_MS && (await this.#hasUnansweredList(silentMs));
    chosen.leavesSinceMs = leaves ? (chosen.leavesSinceMs ?? nowMs) : null;
    if (chosen.leavesSinceMs === null || nowMs - chosen.leavesSinceMs < SEEN_AGAIN_MS) return this.has(agent);
    this.#passOver(agent, nowMs);
    return true;
  }

  #passOver(agent: string, nowMs: number): void {
    for (const [each, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(each);
    this.#untilMs.set(agent, nowMs + PASSED_OVER_MS);
    this.#chosen = null;
    this.#deps.log.warn({ agent }, "Passing an agent over for a minute: it leaves legacy backends without an answer");
  }

  /** This agent is the chosen one, or none is. */
  clear(): void {
    this.#chosen = null;
  }

  async #hasUnansweredList(silentMs: number): Promise<boolean> {
    const { transport, log } = this.#deps;
    try {
      return await this.#looksUnanswered(transport, silentMs);
    } catch (error) {
      log.debug({ reason: asCourierError(error).message }, "Cannot look for lists without an answer");
      return false;
    }
  }

  async #looksUnanswered(transport: PassedOverDeps["transport"], silentMs: number): Promise<boolean> {
    // Legacy backends name a file after its command.
    const isList = (name: string): boolean => name.startsWith("list_models");
    for (const { id, sentAtMs } of await transport.commandsIn("shared", isList, LISTS_LOOKED_AT)) {
      const ageMs = transport.now() - sentAtMs;
      if (ageMs - silentMs < UNANSWERED_MS || ageMs >= LIST_WAITS_MS) continue;
      const respondedAtMs = await transport.respondedAtMs("shared", id);
      if (respondedAtMs === null || respondedAtMs < sentAtMs) return true;
    }
    return false;
  }
}
