// Sends one command and waits for its one response, in either version.
import { type Clock, isoTime } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import { parseJson } from "../base/foreign_text.ts";
import { type CommandV2, LIMITS, PROTOCOL_VERSION, Response, VERBS, type Verb } from "../protocol.ts";
import type { Closable, Inbox, Reply, ReplyAddress, Transport } from "../transport.ts";
import type { SigningKey } from "../trust/keys.ts";
import { signDocument } from "../trust/signature.ts";

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
  readonly signal?: AbortSignal | undefined;
  /** @returns for the error of a command without a response: where it was last seen */
  readonly lastKnown: (commandId: string, withdrawn: boolean) => Promise<string>;
}

interface Outgoing {
  readonly inbox: Inbox;
  readonly address: ReplyAddress;
  readonly id: string;
  /** Made once responses can arrive: the transport's clock is in step by then. */
  readonly text: () => string;
  readonly changing: boolean;
}

type Pending = Map<string, (reply: Reply) => void>;

/** The sender's end of the transport: its own reply address, opened for the first command and given up by `close()`. */
export class Mailbox {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #replyTo: string;
  readonly #signingKey: SigningKey | null;
  readonly #pending: { own: Pending; shared: Pending } = { own: new Map(), shared: new Map() };
  /** Removals of responses that were read: only `close()` waits for them. */
  readonly #releasing = new Set<Promise<void>>();
  readonly #open: { own?: Promise<Closable>; shared?: Promise<Closable> } = {};

  /**
   * @param replyTo unique to this process; fits the grammar of agent names
   * @param signingKey signs version 2 commands; null: they are not signed
   */
  constructor(transport: Transport, clock: Clock, replyTo: string, signingKey: SigningKey | null = null) {
    this.#transport = transport;
    this.#clock = clock;
    this.#replyTo = replyTo;
    this.#signingKey = signingKey;
  }

  /**
   * Sends a version 2 command to one agent and resolves with its response, whether it succeeded or not.
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
    const address = { replyTo: this.#replyTo };
    return await this.#exchange({ inbox: { agent }, address, id, text, changing: VERBS[verb].changing }, waiting);
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
    const { changing } = VERBS[verb];
    return await this.#exchange({ inbox: "shared", address: "shared", id, text: () => text, changing }, waiting);
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
    const expires_at = Math.round(this.#transport.now()) + command.ttl_ms;
    return signDocument("command", JSON.stringify({ ...command, expires_at }), this.#signingKey);
  }

  async #exchange(command: Outgoing, waiting: Waiting): Promise<Response> {
    if (waiting.signal?.aborted === true) throw new CourierError("cancelled", "Interrupted before anything was sent");
    const kind = command.address === "shared" ? "shared" : "own";
    await this.#openReplies(kind);
    const ended = new AbortController();
    const received = new Promise<Reply>((resolve) => this.#pending[kind].set(command.id, resolve));
    try {
      await this.#transport.send(command.inbox, command.id, command.text(), { durable: command.changing });
      const signal = waiting.signal === undefined ? ended.signal : AbortSignal.any([ended.signal, waiting.signal]);
      const reply = await Promise.race([received, this.#clock.sleep(waiting.timeoutMs, signal)]);
      if (reply === undefined) throw await this.#unanswered(command, waiting);
      return this.#accept(command, reply);
    } finally {
      ended.abort();
      this.#pending[kind].delete(command.id);
    }
  }

  async #openReplies(kind: "own" | "shared"): Promise<void> {
    const address = kind === "shared" ? kind : { replyTo: this.#replyTo };
    const pending = this.#pending[kind];
    const wanted = (id: string): boolean => kind === "own" || pending.has(id);
    this.#open[kind] ??= this.#transport.openReplies(address, wanted, (reply) => this.#deliver(kind, reply));
    try {
      await this.#open[kind];
    } catch (error) {
      delete this.#open[kind];
      throw error;
    }
  }

  #deliver(kind: "own" | "shared", reply: Reply): void {
    const resolve = this.#pending[kind].get(reply.id);
    if (resolve !== undefined) resolve(reply);
    // It came after its sender gave up, and nobody else removes it. If this fails, the sweep does.
    else if (kind === "own") this.#transport.releaseReply({ replyTo: this.#replyTo }, reply.id).catch(() => undefined);
  }

  #accept(command: Outgoing, { content }: Reply): Response {
    const releasing = this.#release(command).finally(() => this.#releasing.delete(releasing));
    this.#releasing.add(releasing);
    if (!("text" in content)) throw new CourierError("unavailable", `Cannot read the response: ${content.refused}`);
    const response = Response.safeParse(parseJson(content.text)).data;
    if (response !== undefined) return response;
    throw new CourierError("unavailable", "Cannot read the response: it does not follow the protocol");
  }

  /** Never rejects: a response that stays a little longer harms nobody, and the sweep removes it. */
  async #release({ address, inbox, id }: Outgoing): Promise<void> {
    await this.#transport.releaseReply(address, id).catch(() => undefined);
    if (address === "shared") await this.#transport.withdraw(inbox, id).catch(() => false);
  }

  async #unanswered(command: Outgoing, { timeoutMs, signal, lastKnown }: Waiting): Promise<CourierError> {
    const withdrawn = await this.#transport.withdraw(command.inbox, command.id).catch(() => false);
    // An agent removes a command after its response, so a command that could be withdrawn may have started anyway.
    const hint = command.changing ? "It may still run: check before sending it again" : "Safe to retry";
    if (signal?.aborted === true) {
      const details = command.changing ? { hint } : {};
      return new CourierError("cancelled", "Interrupted while waiting for the response", details);
    }
    const known = await lastKnown(command.id, withdrawn);
    return new CourierError("deadline_exceeded", `No answer within ${timeoutMs / 1000} s: ${known}`, { hint });
  }
}
