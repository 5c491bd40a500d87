// Takes deliveries, runs what may run, answers all of it: receive, judge, ledger, claim, run, respond, release.
// Imports the seam, protocol, ledger, commands, errors, clock.
import { type Clock, isoTime } from "../../base/clock.ts";
import { asCourierError, type CourierError, systemCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { PROTOCOL_VERSION, type Response, type State, VERBS, type Verb } from "../../protocol.ts";
import type { Delivery, Transport } from "../../transport.ts";
import type { Ledger, LedgerEntry } from "../ledger/ledger.ts";
import type { Identity } from "../presence/identity.ts";
import { OthersCommands } from "./claimed_elsewhere.ts";
import { type AcceptedCommand, type AnswerTo, judge, lateness, outcomeUnknown, type Refusal } from "./judge.ts";
import { Lanes } from "./lanes.ts";
import type { Result } from "./verbs.ts";

export interface WorkerOptions {
  readonly transport: Transport;
  readonly identity: Identity;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  /** How old a version 1 list, and a version 1 pull or delete, may be, in ms. */
  readonly listTtlMs: number;
  readonly changeTtlMs: number;
  /** @param resumedSinceMs when its run began before a crash, by the box's clock; null: this is its first run */
  readonly run: (command: AcceptedCommand, resumedSinceMs: number | null) => Promise<Result>;
  /** Publishes the state; awaited before a changing verb is answered. */
  readonly publishState: () => Promise<unknown>;
}

/** By which subscription a delivery came. */
export interface Subscribed {
  /** When it began, on the transport's clock. */
  readonly sinceMs: number;
  /** Aborts when it is closed. */
  readonly closed: AbortSignal;
}

/** Between attempts to publish an answer while the transport is away. */
const RETRY_MS = 1000;
/** An old id is per second and may be written again: its file is removed only when it is this old. */
const OLD_FILE_REST_MS = 5000;
/** What is no pull or delete, cannot be run and is so old: nobody waits for its answer, it is removed without one. */
const OLD_FILE_KEPT_MS = 3_600_000;
/** What a system says of a transport that may not be written to, which somebody may fix; of a planted link it is ours. */
const DENIALS: ReadonlySet<string | undefined> = new Set(["EROFS", "EACCES", "EPERM"]);
const DENIED_FOR_MS = 60_000;
/** Commands under way for this long stand in the state. */
const SHOWN_AFTER_MS = 1000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #lanes = new Lanes();
  readonly #underWay = new Map<
    string,
    { readonly command: string; readonly startedAt: string; readonly begunMs: number }
  >();
  /** Ends the wait for old files to be old enough: the next start goes on with them. */
  readonly #resting = new AbortController();
  /** Ends what waits for the transport. */
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  /** Keys of what is being done: a subscription that begins again delivers it again. */
  readonly #inHand = new Set<string>();
  readonly #others: OthersCommands;
  #processed = 0;
  #refused = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { transport, clock, log } = options;
    this.#others = new OthersCommands({
      clock,
      log,
      now: () => transport.now(),
      isAnswered: async (delivery) => await this.#isAnswered(delivery),
      isUnchanged: async (delivery) => await transport.isUnchanged(delivery),
      refuse: async (delivery, command, error) => await this.#refuse(delivery, { ...command, error }),
      remove: async (delivery, command) => await this.#finish(delivery, command),
    });
  }

  get processedCommands(): number {
    return this.#processed;
  }

  get refusedCommands(): number {
    return this.#refused;
  }

  /** The commands under way for over 1 s. */
  get commands(): State["commands"] {
    const beforeMs = this.#options.clock.monotonic() - SHOWN_AFTER_MS;
    const shown = [...this.#underWay].filter(([, { begunMs }]) => begunMs <= beforeMs);
    return shown.map(([command_id, { command, startedAt }]) => ({ command_id, command, started_at: startedAt }));
  }

  /** Takes one delivery; its outcome is its answer. What is in hand already is not taken again. */
  take(delivery: Delivery, subscribed: Subscribed): void {
    const { key } = delivery;
    if (this.#inHand.has(key)) return;
    this.#inHand.add(key);
    const task = this.#handle(delivery, subscribed)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          this.#options.log.error({ id: delivery.id, error }, "Command failed unexpectedly");
      })
      .finally(() => {
        this.#tasks.delete(task);
        this.#inHand.delete(key);
      });
    this.#tasks.add(task);
  }

  /** Counts a name in an inbox that is none of a command. */
  refuseName(name: string, reason: string): void {
    this.#refused += 1;
    this.#options.log.warn({ name, reason }, "Ignored a name in an inbox");
  }

  /** Waits for what is under way, at most `graceMs`; then gives up what still waits. Take nothing after it. */
  async drain(graceMs: number): Promise<void> {
    this.#resting.abort();
    const timer = new AbortController();
    await Promise.race([Promise.all(this.#tasks), this.#options.clock.sleep(graceMs, timer.signal)]);
    timer.abort();
    this.#stopping.abort();
  }

  async #handle(delivery: Delivery, subscribed: Subscribed): Promise<void> {
    const judged = judge(delivery, { ...this.#options, agent: this.#options.identity.agent });
    const done =
      (await this.#answeredBefore(delivery, subscribed.sinceMs)) || (await this.#serve(delivery, judged, subscribed));
    if (done) await this.#finish(delivery, judged);
  }

  /** @returns false when there is nothing more to do: another agent has the right to it, or its sender took it back */
  async #serve(delivery: Delivery, judged: AcceptedCommand | Refusal, { closed }: Subscribed): Promise<boolean> {
    if ("error" in judged) return await this.#refuse(delivery, judged);
    // It waits for nothing, and tells that the agent is there: so it never queues behind what waits for Ollama.
    if (judged.verb === "ping") return await this.#read(delivery, judged);
    if (!VERBS[judged.verb].changing) return await this.#lanes.reading(async () => await this.#read(delivery, judged));
    return await this.#lanes.changing(
      judged.model ?? judged.ledgerKey,
      async () => await this.#changeOrSay(delivery, judged, closed),
    );
  }

  /** What fails outside the verb, such as a full ledger or a claim that cannot be taken, is an answer too. */
  async #changeOrSay(delivery: Delivery, command: AcceptedCommand, closed: AbortSignal): Promise<boolean> {
    try {
      if (delivery.inbox !== "shared" || (await this.#claim(delivery))) return await this.#change(delivery, command);
      this.#others.watch(delivery, command, closed);
      return false;
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error;
      return await this.#refuse(delivery, { ...command, error: asCourierError(error) });
    }
  }

  async #refuse(delivery: Delivery, { error, answerTo, verb }: Refusal): Promise<boolean> {
    const { transport, identity, clock, log } = this.#options;
    this.#refused += 1;
    log.warn({ id: delivery.id, code: error.code, reason: error.message }, "Refused a command");
    const old = delivery.inbox === "shared" && transport.now() - delivery.sentAtMs > OLD_FILE_KEPT_MS;
    const changing = verb !== null && VERBS[verb].changing;
    if (old && !changing) await this.#release(delivery);
    else await this.#answer(answerTo, JSON.stringify(failure(error, identity, answerTo, clock)), changing);
    return true;
  }

  async #read(delivery: Delivery, command: AcceptedCommand): Promise<boolean> {
    const late = lateness(command, delivery, this.#options.transport.now());
    if (late !== null) return await this.#refuse(delivery, { ...command, error: late });
    await this.#answer(command.answerTo, JSON.stringify(await this.#run(command, null)), false);
    return true;
  }

  async #change(delivery: Delivery, command: AcceptedCommand): Promise<boolean> {
    const { transport, ledger, publishState } = this.#options;
    const known = ledger.read(command.ledgerKey);
    let text = known?.response ?? null;
    if (text === null) {
      const reason = this.#whyNotRun(delivery, command, known);
      if (reason !== null) return await this.#refuse(delivery, { ...command, error: reason });
      // Its sender may have withdrawn it while it waited its turn.
      if (known === null && !(await this.#isUnchanged(delivery))) return false;
      ledger.start(command.ledgerKey, transport.now());
      text = JSON.stringify(await this.#run(command, this.#boxTimeMs(known)));
      this.#record(command.ledgerKey, text);
      await publishState();
    }
    await this.#answer(command.answerTo, text, true);
    return true;
  }

  /** @param known its entry, when its run began before a crash */
  #whyNotRun(delivery: Delivery, command: AcceptedCommand, known: LedgerEntry | null): CourierError | null {
    const { transport, ledger } = this.#options;
    const late = lateness(command, delivery, transport.now());
    if (known !== null) return late && outcomeUnknown("it began before the agent crashed, and its time is over");
    if (!ledger.mayHaveForgotten(delivery.sentAtMs)) return late;
    return outcomeUnknown("it was sent before the agent lost its ledger");
  }

  /** Takes the right to run a changing command of the shared inbox. */
  async #claim(delivery: Delivery): Promise<boolean> {
    const { transport, identity } = this.#options;
    return await this.#untilReachable(async () => await transport.claim(delivery, identity));
  }

  async #isUnchanged(delivery: Delivery): Promise<boolean> {
    return await this.#untilReachable(async () => await this.#options.transport.isUnchanged(delivery));
  }

  /** What is done is done: an answer that cannot be recorded is given anyway. */
  #record(key: string, text: string): void {
    const { transport, ledger, log } = this.#options;
    try {
      ledger.respond(key, text, transport.now());
    } catch (error) {
      log.error({ error }, "Cannot record an answer");
    }
  }

  /** When a command's run began before, by the box's clock: jobs use that one. */
  #boxTimeMs(known: LedgerEntry | null): number | null {
    const { clock, transport } = this.#options;
    return known === null ? null : known.noted_at_ms + clock.now() - transport.now();
  }

  async #run(command: AcceptedCommand, resumedSinceMs: number | null): Promise<Response> {
    const { identity, clock, log, run } = this.#options;
    const { verb, model, answerTo } = command;
    const id = answerTo.ids[0] ?? "";
    const fields = { id, command: verb, ...(model === null ? {} : { model }) };
    const begunMs = clock.monotonic();
    this.#underWay.set(id, { command: verb, startedAt: isoTime(clock.now()), begunMs });
    try {
      const result = await run(command, resumedSinceMs);
      log[VERBS[verb].changing ? "info" : "debug"](
        { ...fields, ms: Math.round(clock.monotonic() - begunMs) },
        "Command done",
      );
      return success(result, identity, answerTo, clock);
    } catch (error) {
      const failed = asCourierError(error);
      log.warn(
        { ...fields, code: failed.code, reason: failed.message, ...(failed.code === "internal" ? { error } : {}) },
        "Command failed",
      );
      return failure(failed, identity, answerTo, clock);
    } finally {
      this.#processed += 1;
      this.#underWay.delete(id);
    }
  }

  /** Publishes an answer under each of its ids, for as long as the transport is away. */
  async #answer({ address, ids }: AnswerTo, text: string, durable: boolean): Promise<void> {
    const { transport, log } = this.#options;
    for (const id of ids) {
      try {
        const published = await this.#untilReachable(
          async () => await transport.respond(address, id, text, { durable }),
        );
        if (!published) log.info({ id }, "Nobody waits for this answer any more");
      } catch (error) {
        if (this.#stopping.signal.aborted) throw error;
        log.warn({ id, reason: asCourierError(error).message }, "Cannot publish an answer");
      }
    }
  }

  /**
   * What becomes of an answered command's file. Version 2 and old pulls and deletes: removed, old ones not before they
   * are 5 s old. Everything else in the shared inbox stays: its sender removes it, and fails when it cannot.
   */
  async #finish(delivery: Delivery, { verb }: { readonly verb: Verb | null }): Promise<void> {
    const { transport, clock } = this.#options;
    if (delivery.inbox === "shared") {
      if (verb === null || !VERBS[verb].changing) return;
      const restMs = delivery.sentAtMs + OLD_FILE_REST_MS - transport.now();
      if (restMs > 0) await clock.sleep(restMs, this.#resting.signal);
      if (this.#resting.signal.aborted) return;
    }
    await this.#release(delivery);
  }

  async #release(delivery: Delivery): Promise<void> {
    await this.#untilReachable(async () => await this.#options.transport.release(delivery));
  }

  /** At start or take-over: a command whose answer lies there and is not older was answered already. */
  async #answeredBefore(delivery: Delivery, sinceMs: number): Promise<boolean> {
    if (delivery.inbox !== "shared" || delivery.sentAtMs >= sinceMs) return false;
    return await this.#untilReachable(async () => await this.#isAnswered(delivery));
  }

  async #isAnswered({ id, sentAtMs }: Delivery): Promise<boolean> {
    const answeredAtMs = await this.#options.transport.respondedAtMs("shared", id);
    return answeredAtMs !== null && answeredAtMs >= sentAtMs;
  }

  async #untilReachable<Value>(attempt: () => Promise<Value>): Promise<Value> {
    const { clock } = this.#options;
    for (const beganMs = clock.monotonic(); ; ) {
      try {
        return await attempt();
      } catch (error) {
        if (clock.monotonic() - beganMs >= mayPassMs(error) || this.#stopping.signal.aborted) throw error;
        await clock.sleep(RETRY_MS, this.#stopping.signal);
      }
    }
  }
}

/** How long it may be before what failed so works. */
function mayPassMs(error: unknown): number {
  const { code, cause } = asCourierError(error);
  if (code === "unavailable" || code === "exhausted") return Number.POSITIVE_INFINITY;
  return code === "forbidden" && DENIALS.has(systemCode(cause)) ? DENIED_FOR_MS : 0;
}

function success(result: Result, identity: Identity, answerTo: AnswerTo, clock: Clock): Response {
  const fields = answerTo.dialect === 1 ? oldFields(result) : result;
  return { success: true, ...fields, timestamp: isoTime(clock.now()), ...version2(identity, answerTo) };
}

function oldFields({ message, models }: Result): Result {
  return { ...(message === undefined ? {} : { message }), ...(models === undefined ? {} : { models }) };
}

function failure(
  { code, message, hint }: CourierError,
  identity: Identity,
  answerTo: AnswerTo,
  clock: Clock,
): Response {
  const details = answerTo.dialect === 1 ? {} : { code, ...(hint === undefined ? {} : { hint }) };
  return {
    success: false,
    error: message,
    ...details,
    timestamp: isoTime(clock.now()),
    ...version2(identity, answerTo),
  };
}

function version2({ agent }: Identity, { dialect, ids }: AnswerTo): Partial<Response> {
  const id = ids[0];
  return dialect === 1 || id === undefined ? {} : { version: PROTOCOL_VERSION, command_id: id, agent };
}
