// Sends one command and waits for its one response, in either version.
import { type Clock, isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { type Log, silentLog } from "../../base/log.ts";
import {
  type CommandV2,
  LEGACY_SERVICE_AGENT,
  LIMITS,
  PROTOCOL_VERSION,
  type Response,
  VERBS,
  type Verb,
} from "../../protocol.ts";
import type { Closable, Inbox, Reply, ReplyAddress, Transport } from "../../transport.ts";
import type { SigningKey } from "../../trust/keys.ts";
import { signDocument } from "../../trust/signature.ts";
import { IgnoredReplies } from "./ignored_replies.ts";
import { judgeReply, type ReplyJudge, type SentCommand } from "./reply_judge.ts";

/** A command, before it has an id and an address. */
export interface Request {
  readonly verb: Verb;
  readonly modelName?: string | undefined;
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
  /** Who or what asks, in at most 64 characters. Version 1 has no place for it. */
  readonly requestedBy?: string | undefined;
}

export interface Waiting {
  readonly timeoutMs: number;
  /** How long it waits in all while the agent's state shows that it is running the command; by default no longer. */
  readonly whileRunningMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly lastKnown: (commandId: string, withdrawn: boolean) => Promise<LastKnown>;
}

/** Where a command without a response was last seen. */
export interface LastKnown {
  /** For its error. */
  readonly text: string;
  /** Its agent has started it and not ended. */
  readonly isRunning: boolean;
  /** Its agent goes on publishing its state. */
  readonly isReporting: boolean;
}

export interface MailboxOptions {
  /** Signs version 2 commands; null: they are not signed. */
  readonly signingKey?: SigningKey | null;
  /** Decides which replies count. */
  readonly judge?: ReplyJudge;
  readonly log?: Log;
}

interface Outgoing {
  readonly inbox: Inbox;
  readonly address: ReplyAddress;
  readonly agent: string;
  readonly version: SentCommand["version"];
  readonly id: string;
  /** Made once responses can arrive: the transport's clock is in step by then. */
  readonly text: () => string;
  readonly changing: boolean;
}

/** A command that has no response yet. */
interface Awaiting {
  readonly sent: SentCommand;
  readonly resolve: (response: Response) => void;
  /** The replies that were ignored, and why the last of them was. */
  ignored: number;
  mismatch: string;
}

type Pending = Map<string, Awaiting>;

/** The sender's end of the transport: its own reply address, opened for the first command and given up by `close()`. */
export class Mailbox {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #replyTo: string;
  readonly #signingKey: SigningKey | null;
  readonly #judge: ReplyJudge;
  readonly #ignored: IgnoredReplies;
  readonly #pending: { own: Pending; shared: Pending } = { own: new Map(), shared: new Map() };
  /** Removals of responses that were read: only `close()` waits for them. */
  readonly #releasing = new Set<Promise<void>>();
  readonly #open: { own?: Promise<Closable>; shared?: Promise<Closable> } = {};

  /** @param replyTo unique to this process; fits the grammar of agent names */
  constructor(
    transport: Transport,
    clock: Clock,
    replyTo: string,
    { signingKey = null, judge = judgeReply, log = silentLog }: MailboxOptions = {},
  ) {
    this.#transport = transport;
    this.#clock = clock;
    this.#replyTo = replyTo;
    this.#signingKey = signingKey;
    this.#judge = judge;
    this.#ignored = new IgnoredReplies(log);
  }

  /** How many replies did not match their command, by the agent that was asked. */
  get ignoredReplies(): ReadonlyMap<string, number> {
    return this.#ignored.counts;
  }

  /**
   * Sends a version 2 command to one agent and resolves with its response, whether it succeeded or not. A reply that does
   * not match the command is ignored and stays: the real one replaces it.
   * @throws CourierError `deadline_exceeded` with the last known position of the command; `cancelled` when the signal
   *   aborted: both withdraw the command where it has no response yet, but the agent may have started it; `not_found`
   *   when the agent has no inbox; `unavailable`
   */
  async request(agent: string, request: Request, waiting: Waiting): Promise<Response> {
    const { verb, modelName, arguments: given, requestedBy } = request;
    const command: CommandV2 = {
      version: PROTOCOL_VERSION,
      command: verb,
      command_id: Bun.randomUUIDv7(),
      timestamp: isoTime(this.#clock.now()),
      agent,
      reply_to: this.#replyTo,
      ttl_ms: Math.min(Math.max(1, Math.round(waiting.timeoutMs)), LIMITS.maxTtlMs),
      ...(modelName === undefined ? {} : { model_name: modelName }),
      ...(given === undefined ? {} : { arguments: given }),
      ...(requestedBy === undefined ? {} : { requested_by: requestedBy }),
    };
    const [id, text] = [command.command_id, () => this.#format(command)];
    const to = { inbox: { agent }, address: { replyTo: this.#replyTo }, agent, version: PROTOCOL_VERSION } as const;
    return await this.#exchange({ ...to, id, text, changing: VERBS[verb].changing }, waiting);
  }

  /**
   * Sends a version 1 command to the legacy service, through the shared inbox.
   * @throws CourierError as `request()`
   */
  async requestVersion1({ verb, modelName }: Request, waiting: Waiting): Promise<Response> {
    // The ids of a legacy backend change once a second, and a legacy service drops a name that it remembers.
    const unique = crypto.randomUUID().slice(-12);
    const id = `${verb}_${Math.floor(this.#clock.now() / 1000)}_${unique}`;
    const text = JSON.stringify({
      command: verb,
      timestamp: isoTime(this.#clock.now()).replace("Z", ""),
      command_id: id,
      ...(modelName === undefined ? {} : { model_name: modelName }),
    });
    const to = { inbox: "shared", address: "shared", agent: LEGACY_SERVICE_AGENT, version: 1 } as const;
    return await this.#exchange({ ...to, id, text: () => text, changing: VERBS[verb].changing }, waiting);
  }

  /** Gives the reply address up. Responses that arrive later are dropped. Idempotent. */
  async close(): Promise<void> {
    const open = [this.#open.own, this.#open.shared];
    delete this.#open.own;
    delete this.#open.shared;
    await Promise.all(this.#releasing);
    for (const closable of open) await (await closable)?.close();
  }

  #format(command: CommandV2): string {
    if (this.#signingKey === null) return JSON.stringify(command);
    const expires_at = Math.round(this.#transport.now(command.agent)) + command.ttl_ms;
    return signDocument("command", JSON.stringify({ ...command, expires_at }), this.#signingKey);
  }

  async #exchange(command: Outgoing, waiting: Waiting): Promise<Response> {
    if (waiting.signal?.aborted === true) throw new CourierError("cancelled", "Interrupted before anything was sent");
    const kind = command.address === "shared" ? "shared" : "own";
    await this.#openReplies(kind);
    const done = new AbortController();
    const { promise: answered, resolve } = Promise.withResolvers<Response>();
    const { version, id, agent } = command;
    const awaiting = { sent: { version, id, agent, text: command.text() }, resolve, ignored: 0, mismatch: "" };
    this.#pending[kind].set(id, awaiting);
    try {
      await this.#transport.send(command.inbox, id, awaiting.sent.text, { durable: command.changing });
      const signal = waiting.signal === undefined ? done.signal : AbortSignal.any([done.signal, waiting.signal]);
      const ended = await this.#answer(id, answered, { ...waiting, signal });
      if (typeof ended === "number") throw await this.#unanswered(command, awaiting, waiting, ended);
      return ended;
    } finally {
      done.abort();
      this.#pending[kind].delete(id);
      // Nobody else removes what was ignored. At "shared" the sweep does: it may be the answer to another sender.
      if (awaiting.ignored > 0 && kind === "own") this.#release(command.address, id);
    }
  }

  /** @returns the response, or after how many ms it gave up */
  async #answer(
    id: string,
    answered: Promise<Response>,
    { timeoutMs, whileRunningMs = 0, signal, lastKnown }: Waiting,
  ): Promise<Response | number> {
    const mostMs = Math.max(timeoutMs, whileRunningMs);
    for (let waitedMs = 0, wasRunning = false; ; ) {
      const nextMs = Math.min(timeoutMs, mostMs - waitedMs);
      const response = await Promise.race([answered, this.#clock.sleep(nextMs, signal)]);
      waitedMs += nextMs;
      if (response !== undefined) return response;
      if (waitedMs >= mostMs || signal?.aborted === true) return waitedMs;
      const { isRunning, isReporting } = await lastKnown(id, false);
      // The response comes a moment after the end of the command.
      if (!isReporting || (!isRunning && !wasRunning)) return waitedMs;
      wasRunning = isRunning;
    }
  }

  async #openReplies(kind: "own" | "shared"): Promise<void> {
    const address = kind === "shared" ? kind : { replyTo: this.#replyTo };
    const pending = this.#pending[kind];
    const wanted = (id: string): boolean => kind === "own" || pending.has(id);
    this.#open[kind] ??= this.#transport.openReplies(address, wanted, (reply) => this.#accept(kind, reply));
    try {
      await this.#open[kind];
    } catch (error) {
      delete this.#open[kind];
      throw error;
    }
  }

  /** @returns false when its sender waits on */
  #accept(kind: "own" | "shared", { id, content }: Reply): boolean {
    const [awaiting, address] = [this.#pending[kind].get(id), kind === "own" ? { replyTo: this.#replyTo } : kind];
    if (awaiting === undefined) {
      // It came after its sender gave up, and nobody else removes it.
      if (kind === "own") this.#release(address, id);
      return true;
    }
    const judgment =
      "text" in content ? this.#judge(awaiting.sent, content.text) : { mismatch: `it ${content.refused}` };
    if ("mismatch" in judgment) {
      awaiting.ignored += 1;
      awaiting.mismatch = judgment.mismatch;
      this.#ignored.add(awaiting.sent, judgment.mismatch);
      return false;
    }
    this.#release(address, id);
    awaiting.resolve(judgment.response);
    return true;
  }

  /** Only `close()` waits for it. A response that stays a little longer harms nobody, and the sweep removes it. */
  #release(address: ReplyAddress, id: string): void {
    const release = async (): Promise<void> => {
      await this.#transport.releaseReply(address, id).catch(() => undefined);
      if (address === "shared") await this.#transport.withdraw("shared", id).catch(() => false);
    };
    const releasing = release().finally(() => this.#releasing.delete(releasing));
    this.#releasing.add(releasing);
  }

  async #unanswered(
    command: Outgoing,
    awaiting: Awaiting,
    { signal, lastKnown }: Waiting,
    waitedMs: number,
  ): Promise<CourierError> {
    const withdrawn = await this.#transport.withdraw(command.inbox, command.id).catch(() => false);
    if (signal?.aborted === true) {
      const details = command.changing ? { hint: mayRun(withdrawn) } : {};
      return new CourierError("cancelled", "Interrupted while waiting for the response", details);
    }
    const { text, isRunning } = await lastKnown(command.id, withdrawn);
    const message = `No answer within ${waitedMs / 1000} s: ${text}${describeIgnored(awaiting)}`;
    const hint = command.changing ? mayRun(withdrawn && !isRunning) : "Safe to retry";
    return new CourierError("deadline_exceeded", message, { hint });
  }
}

/** An agent removes a command after its response, so one that could be withdrawn may have started before. */
function mayRun(withdrawn: boolean): string {
  const runs = withdrawn ? "It does not run unless it had already started" : "It may still run";
  return `${runs}: check before sending it again`;
}

function describeIgnored({ ignored, mismatch }: Awaiting): string {
  if (ignored === 0) return "";
  return ignored === 1
    ? `; 1 answer did not match: ${mismatch}`
    : `; ${ignored} answers did not match, the last one: ${mismatch}`;
}
