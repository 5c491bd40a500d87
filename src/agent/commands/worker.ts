// Takes the commands that arrive, runs those that may run, and answers every one: judge, claim, record, run, respond.
import { type Clock, within } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { LIMITS, type Response, VERBS } from "../../protocol.ts";
import type { Delivery, Inbox, Transport } from "../../transport.ts";
import type { SigningKey } from "../../trust/keys.ts";
import type { Ledger, LedgerEntry } from "../ledger/ledger.ts";
import type { Identity } from "../presence/identity.ts";
import type { StatePublisher } from "../presence/state_publisher.ts";
import type { Activity } from "./activity.ts";
import { ClaimedElsewhere } from "./claimed_elsewhere.ts";
import type { Gathering } from "./gathering.ts";
import { type AcceptedCommand, lateness, outcomeUnknown, type Refusal } from "./judge.ts";
import { keysOf, Lanes, slowKeysOf } from "./lanes.ts";
import { failure, formatResponse, success } from "./response.ts";
import { ResponsePublisher } from "./response_publisher.ts";
import { isFinal, mayPass, Retries } from "./transport_retries.ts";
import { type Subscribed, Unanswered } from "./unanswered.ts";
import type { Timing, Verbs } from "./verbs.ts";
import { dated, sentBeforeMs, type VerifiedCommand, type Verifier } from "./verify.ts";

export interface WorkerDeps {
  readonly transport: Transport;
  readonly identity: Identity;
  /** Signs the responses; null: they are not signed. */
  readonly key: SigningKey | null;
  readonly ledger: Pick<Ledger, "read" | "isRunning" | "mayHaveForgotten" | "start" | "respond" | "refuse">;
  readonly verbs: Pick<Verbs, "run">;
  /** Published before a changing verb is answered. */
  readonly state: Pick<StatePublisher, "publish">;
  readonly activity: Activity;
  readonly gathering: Gathering;
  readonly verifier: Pick<Verifier, "verify">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * `answered`: it is still to be removed. `left`: it has no answer and is taken again later, if it is still there. `missing`: the
 * same, and it was not there. `elsewhere`: another agent has claimed it.
 */
type Outcome = "answered" | "ended" | "left" | "missing" | "elsewhere";

export class Worker {
  readonly #deps: WorkerDeps;
  readonly #lanes: Lanes;
  readonly #retries: Retries;
  readonly #publisher: ResponsePublisher;
  readonly #elsewhere: ClaimedElsewhere;
  readonly #unanswered: Unanswered;
  readonly #tasks = new Set<Promise<void>>();
  /** The deliveries under way, by key, each with the last subscription that delivered it. */
  readonly #inHand = new Map<string, Subscribed>();
  /** Those whose claim this agent holds. */
  readonly #claimed = new Set<string>();
  #takenAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: WorkerDeps) {
    const { transport, identity, key, ledger, activity, clock, log } = deps;
    this.#deps = deps;
    this.#lanes = new Lanes(clock);
    this.#retries = new Retries(clock);
    this.#publisher = new ResponsePublisher({
      agent: identity.agent,
      key,
      transport,
      ledger,
      activity,
      retries: this.#retries,
      clock,
      log,
    });
    this.#elsewhere = new ClaimedElsewhere({ transport, publisher: this.#publisher, clock, log });
    this.#unanswered = new Unanswered({
      transport,
      hasRoom: (inbox) => this.hasRoom(inbox),
      takeAgain: (...taken) => this.take(...taken),
      clock,
      log,
    });
  }

  /** Whether it takes another command of this inbox now: the shared one, which anybody may fill, leaves room for its own. */
  hasRoom(inbox: Inbox): boolean {
    return this.#inHand.size < (inbox === "shared" ? LIMITS.commandsInHand / 2 : LIMITS.commandsInHand);
  }

  /** When it last took a command, on the monotonic clock. */
  get takenAtMs(): number {
    return this.#takenAtMs;
  }

  /** Counts the commands that stay in an inbox for want of room. */
  leave(inbox: "own" | "shared", count: number): void {
    const { activity, log } = this.#deps;
    const before = activity.waiting;
    activity.leave(inbox, count);
    const waiting = activity.waiting;
    if (before === 0 && waiting > 0)
      log.warn({ in_hand: this.#inHand.size, waiting }, "Too many commands: some stay in their inbox for now");
    if (before > 0 && waiting === 0) log.info({}, "No commands stay in their inbox any more");
  }

  /**
   * Takes one delivery, which ends with its response. Where the share does not allow that now, it is taken again a minute
   * later, if it is still there. One that is under way already is not taken twice.
   */
  take(found: Delivery, subscribed: Subscribed): void {
    const delivery = dated(found, this.#deps.transport.now());
    const { key, content } = delivery;
    this.#takenAtMs = this.#deps.clock.monotonic();
    const isInHand = this.#inHand.has(key);
    if ("mayPass" in content && !isList(delivery)) return this.#noteUnreadable(delivery, content.refused);
    this.#inHand.set(key, subscribed);
    if (isInHand) return;
    this.#unanswered.forget(key);
    const judged = this.#deps.verifier.verify(delivery);
    const begin = (): void => {
      const task = this.#end(delivery, judged, subscribed).finally(() => this.#tasks.delete(task));
      this.#tasks.add(task);
    };
    if (isChange(judged)) this.#deps.gathering.add(delivery, begin);
    else begin();
  }

  /** Never rejects. */
  async #end(delivery: Delivery, judged: VerifiedCommand | Refusal, first: Subscribed): Promise<void> {
    const { key } = delivery;
    const outcome = await this.#handle(delivery, judged, first).catch((error: unknown) =>
      this.#failed(delivery, error, "left"),
    );
    const subscribed = this.#inHand.get(key) ?? first;
    const isClaimed = this.#claimed.delete(key);
    this.#inHand.delete(key);
    if (outcome === "ended" || outcome === "elsewhere") return;
    const [isAnswered, isMissing] = [outcome === "answered", outcome === "missing"];
    this.#unanswered.keep({ delivery, subscribed, isClaimed, isAnswered, isMissing });
  }

  /** Only a list's response has a reader, who waits for it; anything else may be run when it can be read. */
  #noteUnreadable({ id }: Delivery, reason: string): void {
    const { activity, log } = this.#deps;
    activity.refuse();
    log.warn({ id, reason }, "Cannot read a command; trying again");
  }

  /** Counts a file in an inbox whose name is not a command's. */
  refuseName(name: string, reason: string): void {
    const { activity, log } = this.#deps;
    activity.refuse();
    log.warn({ name, reason }, "Ignored a name in an inbox");
  }

  /** Waits for the commands under way, at most `graceMs`; then ends their waiting. Take nothing after it. */
  async drain(graceMs: number): Promise<void> {
    this.#deps.gathering.stop();
    this.#unanswered.stop();
    this.#publisher.stopWaiting();
    await within(this.#deps.clock, graceMs, Promise.all(this.#tasks), null);
    this.#retries.stop();
  }

  /** @param before the outcome so far @returns what becomes of it: what a later attempt cannot end either is dropped */
  #failed({ id, content }: Delivery, error: unknown, before: "answered" | "left"): Outcome {
    if (this.#retries.isStopped) return before;
    if (!mayPass(error)) {
      this.#deps.log.error({ id, error }, "Command failed unexpectedly");
      return "ended";
    }
    // Of a folder in place of a command, its refusal was logged already.
    const level = "refused" in content && isFinal(error) ? "debug" : "warn";
    this.#deps.log[level]({ id, reason: asCourierError(error).message }, "Cannot end a command; trying again later");
    return before;
  }

  async #handle(delivery: Delivery, judged: VerifiedCommand | Refusal, subscribed: Subscribed): Promise<Outcome> {
    const outcome = await (isChange(judged)
      ? this.#changeInTurn(delivery, judged, subscribed)
      : this.#serve(delivery, judged, subscribed));
    if (outcome !== "answered") return outcome;
    try {
      return (await this.#publisher.finish(delivery, judged.verb)) ? "ended" : "answered";
    } catch (error) {
      return this.#failed(delivery, error, "answered");
    }
  }

  /** Whether its run began before a crash. A response beside it is then another command's, which had the same id. */
  #hasBegun({ ledgerKey }: AcceptedCommand): boolean {
    const { ledger } = this.#deps;
    try {
      return ledger.read(ledgerKey)?.response === null && !ledger.isRunning(ledgerKey);
    } catch {
      // Without its ledger the agent runs no changing command.
      return false;
    }
  }

  /** At start or take-over: a command that has a response, and not an older one, was answered before. */
  async #answeredBefore(delivery: Delivery, sinceMs: number): Promise<boolean> {
    if (delivery.inbox !== "shared" || delivery.sentAtMs >= sinceMs) return false;
    return await this.#retries.run(async () => await this.#publisher.isAnswered(delivery));
  }

  async #changeInTurn(delivery: Delivery, command: VerifiedCommand, { sinceMs, closed }: Subscribed): Promise<Outcome> {
    const { verb } = command;
    const run = async (): Promise<Outcome> => {
      if ((await this.#answeredBefore(delivery, sinceMs)) && !this.#hasBegun(command)) return "answered";
      const change = async (): Promise<Outcome> => await this.#change(delivery, command, closed);
      // Deletes that wait for Ollama do not hold up the cancel of a pull.
      if (verb === "cancel_job") return await change();
      return await (verb === "load_model" ? this.#lanes.loading(change) : this.#lanes.changing(change));
    };
    return await this.#lanes.inTurn(keysOf(command), run, slowKeysOf(command));
  }

  async #serve(delivery: Delivery, judged: VerifiedCommand | Refusal, subscribed: Subscribed): Promise<Outcome> {
    if (await this.#answeredBefore(delivery, subscribed.sinceMs)) return "answered";
    if ("error" in judged) return await this.#refuse(delivery, judged, subscribed);
    const read = async (): Promise<Outcome> => await this.#read(delivery, judged);
    // A ping shows that the agent is there, so that it never queues behind commands that wait for Ollama.
    return await (judged.verb === "ping" ? read() : this.#lanes.reading(read));
  }

  /**
   * A command that is refused only here may have begun: by an agent that requires no signature, or by this one, before a crash
   * and before it required them.
   */
  async #refuse(delivery: Delivery, refusal: Refusal, { closed }: Subscribed): Promise<Outcome> {
    const { accepted } = refusal;
    if (accepted === null || !VERBS[accepted.verb].changing) return await this.#publisher.refuse(delivery, refusal);
    if (delivery.inbox === "shared" && !(await this.#claim(delivery)))
      return this.#elsewhere.watch(delivery, accepted, closed) ? "elsewhere" : "left";
    const unknown = outcomeUnknown("it began before the agent crashed, and is refused now");
    const error = this.#hasBegun(accepted) ? unknown : refusal.error;
    return await this.#publisher.refuse(delivery, { ...refusal, error });
  }

  async #refuseWith(error: CourierError, delivery: Delivery, command: AcceptedCommand): Promise<Outcome> {
    const { answerTo, verb, model } = command;
    return await this.#publisher.refuse(delivery, { error, answerTo, verb, model, accepted: command });
  }

  async #answer({ answerTo, verb }: AcceptedCommand, text: string): Promise<Outcome> {
    return (await this.#publisher.answer(answerTo, text, VERBS[verb].changing)) ? "answered" : "left";
  }

  async #read(delivery: Delivery, command: VerifiedCommand): Promise<Outcome> {
    const late = lateness(command, delivery, this.#deps.transport.now());
    if (late !== null) return await this.#refuseWith(late, delivery, command);
    const nowMs = this.#deps.transport.now();
    const timing = { askedAtMs: nowMs, nowMs, resumedSinceMs: null };
    return await this.#answer(command, await this.#run(command, timing));
  }

  async #change(delivery: Delivery, command: VerifiedCommand, closed: AbortSignal): Promise<Outcome> {
    const result = await this.#result(delivery, command, closed).catch((error: unknown) => {
      // What the share denies now may be run later.
      if (this.#retries.isStopped || mayPass(error)) throw error;
      return asCourierError(error);
    });
    if (result instanceof CourierError) return await this.#refuseWith(result, delivery, command);
    return "text" in result ? await this.#answer(command, result.text) : result.outcome;
  }

  /** @returns the response, recorded now or before; or the reason why it is not run */
  async #result(
    delivery: Delivery,
    command: VerifiedCommand,
    closed: AbortSignal,
  ): Promise<{ readonly text: string } | { readonly outcome: Outcome } | CourierError> {
    if (delivery.inbox === "shared" && !(await this.#claim(delivery)))
      return { outcome: this.#elsewhere.watch(delivery, command, closed) ? "elsewhere" : "left" };
    const { transport, ledger } = this.#deps;
    const known = orFailure(() => ledger.read(command.ledgerKey));
    if (known instanceof CourierError) return known;
    if (typeof known?.response === "string") return { text: known.response };
    const reason = orFailure(() => this.#whyNotRun(delivery, command, known));
    if (reason !== null) return reason;
    if (known === null) {
      // Its sender may have withdrawn it while it waited for its turn, and the share may take long to answer that.
      if (!(await this.#isUnchanged(delivery))) return { outcome: "missing" };
      const late = lateness(command, delivery, transport.now()) ?? this.#whyNoLonger(delivery, command);
      if (late !== null) return late;
    }
    const begun = orFailure(() => this.#start(command));
    return begun instanceof CourierError ? begun : { text: await this.#runAndRecord(delivery, command, known) };
  }

  #start({ ledgerKey, signed }: VerifiedCommand): void {
    const { transport, ledger, clock } = this.#deps;
    const kept = signed === null ? null : { boxNowMs: clock.now(), expiresAtMs: signed.expiresAtMs };
    ledger.start(ledgerKey, transport.now(), kept);
  }

  async #runAndRecord(delivery: Delivery, command: VerifiedCommand, known: LedgerEntry | null): Promise<string> {
    const nowMs = this.#deps.transport.now();
    // A time in the future, by a clock that was wrong, counts as now.
    const askedAtMs = Math.min(sentBeforeMs(command, delivery), nowMs);
    const timing = { askedAtMs, nowMs, resumedSinceMs: this.#boxTimeMs(known) };
    const text = await this.#run(command, timing);
    this.#record(command.ledgerKey, text);
    await this.#deps.state.publish();
    return text;
  }

  /** @param known its entry, when its run began before a crash */
  #whyNotRun(delivery: Delivery, command: AcceptedCommand, known: LedgerEntry | null): CourierError | null {
    const { transport, ledger } = this.#deps;
    const late = lateness(command, delivery, transport.now());
    if (known !== null) return late && outcomeUnknown("it began before the agent crashed, and its time is over");
    if (!ledger.mayHaveForgotten(sentBeforeMs(command, delivery))) return late;
    return outcomeUnknown("it was sent before the agent lost its ledger");
  }

  /** Its key may have been removed while it waited for its turn. */
  #whyNoLonger(delivery: Delivery, { signed }: AcceptedCommand): CourierError | null {
    const judged = signed === null ? null : this.#deps.verifier.verify(delivery);
    return judged !== null && "error" in judged ? judged.error : null;
  }

  /** Claims a changing command of the shared inbox. */
  async #claim(delivery: Delivery): Promise<boolean> {
    const { transport, identity } = this.#deps;
    const isHeld = await this.#retries.run(async () => await transport.claim(delivery, identity));
    if (isHeld) this.#claimed.add(delivery.key);
    return isHeld;
  }

  async #isUnchanged(delivery: Delivery): Promise<boolean> {
    return await this.#retries.run(async () => await this.#deps.transport.isUnchanged(delivery));
  }

  /** The command has run: a response that cannot be recorded is published anyway. */
  #record(key: string, text: string): void {
    const { transport, ledger, log } = this.#deps;
    try {
      ledger.respond(key, text, transport.now());
    } catch (error) {
      log.error({ error }, "Cannot record a response");
    }
  }

  /** When a command's run began before a crash, on the box's clock, which jobs use. */
  #boxTimeMs(known: LedgerEntry | null): number | null {
    const { clock, transport } = this.#deps;
    return known === null ? null : known.noted_at_ms + clock.now() - transport.now();
  }

  /** @returns the response, as it is published and recorded */
  async #run(command: VerifiedCommand, timing: Timing): Promise<string> {
    return formatResponse(await this.#responseTo(command, timing), this.#deps.key);
  }

  async #responseTo(command: VerifiedCommand, timing: Timing): Promise<Response> {
    const { identity, verbs, activity, clock, log } = this.#deps;
    const { verb, model, answerTo, signed, requestedBy } = command;
    const id = answerTo.ids[0] ?? "";
    const sender = {
      ...(signed === null ? {} : { key: signed.keyId }),
      ...(requestedBy === null ? {} : { requested_by: requestedBy }),
    };
    const fields = { id, command: verb, ...(model === null ? {} : { model }), ...sender };
    const durationMs = activity.begin(id, verb);
    try {
      const result = await verbs.run(command, timing);
      log[VERBS[verb].changing ? "info" : "debug"]({ ...fields, ms: durationMs() }, "Command done");
      return success(result, identity.agent, answerTo, clock.now());
    } catch (error) {
      const failed = asCourierError(error);
      const details = failed.code === "internal" ? { error } : {};
      log.warn({ ...fields, code: failed.code, reason: failed.message, ...details }, "Command failed");
      // Its sender may be gone, and those who look for the pull find no job.
      if (verb === "pull_model") activity.showRefused({ id, verb, model, error: failed });
      return failure(failed, identity.agent, answerTo, clock.now());
    } finally {
      activity.end(id);
    }
  }
}

function isChange(judged: VerifiedCommand | Refusal): judged is VerifiedCommand {
  return !("error" in judged) && VERBS[judged.verb].changing;
}

/** Legacy backends name a file after its command. */
function isList({ inbox, id }: Delivery): boolean {
  return inbox === "shared" && id.startsWith("list_models");
}

/** A failure of the ledger is a reason to refuse a command. */
function orFailure<Value>(call: () => Value): Value | CourierError {
  try {
    return call();
  } catch (error) {
    return asCourierError(error);
  }
}
