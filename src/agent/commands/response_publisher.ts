// Publishes the responses to commands, and removes the commands that need no more attention.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { VERBS, type Verb } from "../../protocol.ts";
import type { Delivery, Transport } from "../../transport.ts";
import type { SigningKey } from "../../trust/keys.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Activity } from "./activity.ts";
import type { AnswerTo, Refusal } from "./judge.ts";
import { LateRefusals } from "./late_refusals.ts";
import { failure, formatResponse } from "./response.ts";
import { isFinal, type Retries } from "./transport_retries.ts";

export interface ResponsePublisherDeps {
  readonly agent: string;
  /** Signs the responses; null: they are not signed. */
  readonly key: SigningKey | null;
  readonly transport: Pick<Transport, "now" | "release" | "respond" | "respondedAtMs">;
  readonly ledger: Pick<Ledger, "refuse">;
  readonly activity: Activity;
  readonly retries: Retries;
  readonly clock: Clock;
  readonly log: Log;
}

/** A version 1 id is per second, so the same id may be written again: its file is removed only when it is this old. */
const V1_REST_MS = 5000;
/** Nobody waits for the response to a command this old that cannot be run, unless it is a pull or delete. */
const REFUSED_UNANSWERED_AFTER_MS = 3_600_000;

/** Of a refused command that ends later the ledger forgets the refusal before that, so that no entry of the ledger stays for good. */
const NOTED_FOR_MS = 366 * 86_400_000;

/** Each method repeats its calls while the transport is unavailable. */
export class ResponsePublisher {
  readonly #deps: ResponsePublisherDeps;
  /** Ends the wait for version 1 files to be old enough: the next start removes them. */
  readonly #resting = new AbortController();
  readonly #refusals: LateRefusals;

  constructor(deps: ResponsePublisherDeps) {
    this.#deps = deps;
    this.#refusals = new LateRefusals(deps);
  }

  /** Whether a command of the shared inbox has a response that is not older. @throws CourierError at the first failure */
  async isAnswered({ id, sentAtMs }: Delivery): Promise<boolean> {
    const answeredAtMs = await this.#deps.transport.respondedAtMs("shared", id);
    return answeredAtMs !== null && answeredAtMs >= sentAtMs;
  }

  /** Publishes a response under each of its ids. @returns false when one could not be published for now */
  async answer({ address, ids }: AnswerTo, text: string, durable: boolean): Promise<boolean> {
    const { transport, retries, log } = this.#deps;
    let allPublished = true;
    for (const id of ids) {
      try {
        const published = await retries.run(async () => await transport.respond(address, id, text, { durable }));
        if (!published) log.info({ id }, "The sender no longer waits for this response");
      } catch (error) {
        if (retries.isStopped) throw error;
        log.warn({ id, reason: asCourierError(error).message }, "Cannot publish a response");
        // A change must be answered while its command is there. A reading verb is not worth that.
        if (durable || !isFinal(error)) allPublished = false;
      }
    }
    return allPublished;
  }

  /**
   * Answers a command with an error, and removes it. One that might run at a later look, such as a changing one while the
   * ledger's disk is full, is removed first: then the refusal may be lost, but no refused command runs. A signed one is noted
   * before that, or anyone who has a copy could put it there again.
   * @returns `answered` when it is still to be removed, `missing` when it has no answer and is not there
   */
  async refuse(delivery: Delivery, refusal: Refusal): Promise<"answered" | "ended" | "missing"> {
    const { agent, key, transport, activity, clock, log } = this.#deps;
    const { error, answerTo, verb, model } = refusal;
    activity.refuse({ id: delivery.id, verb, model, error });
    log.warn({ id: delivery.id, code: error.code, reason: error.message }, "Refused a command");
    const changing = verb !== null && VERBS[verb].changing;
    const isOld = delivery.inbox === "shared" && transport.now() - delivery.sentAtMs > REFUSED_UNANSWERED_AFTER_MS;
    if (isOld && !changing) {
      await this.#release(delivery);
      return "ended";
    }
    const text = formatResponse(failure(error, agent, answerTo, clock.now()), key);
    const isRemovedFirst = mightRunLater(delivery, refusal);
    if (isRemovedFirst) this.#note(refusal, text);
    // Not there: withdrawn, or its folder is away, and it might still run.
    if (isRemovedFirst && !(await this.#remove(delivery))) return "missing";
    // A copy under another name is not accepted.
    const isSigned = (refusal.accepted?.signed ?? null) !== null;
    // Refusals may be lost. Syncing each is too much for commands that anybody may write.
    await this.#refusals.publish({ answerTo, text, isDurable: changing && isSigned, isSigned });
    return isRemovedFirst ? "ended" : "answered";
  }

  /**
   * Removes a command that is answered or refused. Pulls and deletes of version 1 are removed when they are 5 s old.
   * Everything else in the shared inbox stays: its sender removes it, and fails when it cannot.
   * @returns false when it may still be there: the agent stops, or its folder is away
   */
  async finish(delivery: Delivery, verb: Verb | null): Promise<boolean> {
    if (delivery.inbox === "shared" && (verb === null || !VERBS[verb].changing)) return true;
    return await this.#remove(delivery);
  }

  /** Version 1 commands that are too young to be removed stay; refusals that could not be published are lost. */
  stopWaiting(): void {
    this.#resting.abort();
    this.#refusals.stop();
  }

  #note({ accepted }: Refusal, text: string): void {
    const { ledger, transport, clock } = this.#deps;
    if (accepted === null || accepted.signed === null) return;
    const expiresAtMs = Math.min(accepted.signed.expiresAtMs, transport.now() + NOTED_FOR_MS);
    ledger.refuse(accepted.ledgerKey, text, transport.now(), { boxNowMs: clock.now(), expiresAtMs });
  }

  /** @returns whether it was there and is removed now */
  async #remove(delivery: Delivery): Promise<boolean> {
    return (await this.#rest(delivery)) && (await this.#release(delivery));
  }

  /** Waits until a command of the shared inbox may be removed. @returns false when the agent stops before */
  async #rest({ inbox, sentAtMs }: Delivery): Promise<boolean> {
    const { transport, clock } = this.#deps;
    if (inbox !== "shared") return true;
    // A time in the future, by a clock that was wrong, counts as now.
    const restMs = Math.min(sentAtMs + V1_REST_MS - transport.now(), V1_REST_MS);
    if (restMs > 0) await clock.sleep(restMs, this.#resting.signal);
    return !this.#resting.signal.aborted;
  }

  async #release(delivery: Delivery): Promise<boolean> {
    const { transport, retries } = this.#deps;
    return await retries.run(async () => await transport.release(delivery));
  }
}

/** Invalid bytes stay so, unless this agent alone refuses them. */
function mightRunLater({ inbox, content }: Delivery, { error, verb, accepted }: Refusal): boolean {
  if (accepted === null && error.code === "invalid" && "text" in content) return false;
  // A verb of a later release: this agent may be updated before its next look.
  return verb === null ? inbox !== "shared" : VERBS[verb].changing;
}
