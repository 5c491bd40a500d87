// Sends one command and waits for its one response, in either dialect. Imports the seam, protocol, clock, errors.
import { type Clock, isoTime } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import { type CommandV2, LIMITS, PROTOCOL_VERSION, Response, VERBS, type Verb } from "../protocol.ts";
import type { Closable, Inbox, Reply, ReplyAddress, Transport } from "../transport.ts";

export interface Order {
  readonly verb: Verb;
  readonly modelName?: string | undefined;
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
}

export interface Waiting {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What to say when no answer came: the last thing known about the agent. */
  readonly lastKnown: (commandId: string, withdrawn: boolean) => Promise<string>;
}

interface Post {
  readonly inbox: Inbox;
  readonly address: ReplyAddress;
  readonly id: string;
  readonly text: string;
  readonly durable: boolean;
}

type Pending = Map<string, (reply: Reply) => void>;

/** The sender's end: its own reply address, made at the first command and given up by `close()`. */
export class Mailbox {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #replyTo: string;
  readonly #pending: { own: Pending; shared: Pending } = { own: new Map(), shared: new Map() };
  /** Answers that were read and are being removed: nobody waits for that. */
  readonly #releasing = new Set<Promise<void>>();
  readonly #open: { own?: Promise<Closable>; shared?: Promise<Closable> } = {};

  /** @param replyTo unique to this process; fits the grammar of agent names */
  constructor(transport: Transport, clock: Clock, replyTo: string) {
    this.#transport = transport;
    this.#clock = clock;
    this.#replyTo = replyTo;
  }

  /**
   * Sends a version 2 command to one agent and resolves with its answer, successful or not.
   * @throws CourierError `deadline_exceeded` with the last thing known; `cancelled` when the signal aborted: in both the
   *   command is taken back if it still lies there, which does not tell whether its run had begun; `not_found` when the agent has no inbox; `unavailable`
   */
  async request(agent: string, order: Order, waiting: Waiting): Promise<Response> {
    const command: CommandV2 = {
      version: PROTOCOL_VERSION,
      command: order.verb,
      command_id: Bun.randomUUIDv7(),
      timestamp: isoTime(this.#clock.now()),
      agent,
      reply_to: this.#replyTo,
      ttl_ms: Math.min(Math.max(1, Math.round(waiting.timeoutMs)), LIMITS.maxTtlMs),
      ...(order.modelName === undefined ? {} : { model_name: order.modelName }),
      ...(order.arguments === undefined ? {} : { arguments: order.arguments }),
    };
    const post = { inbox: { agent }, address: { replyTo: this.#replyTo }, id: command.command_id };
    return await this.#exchange(
      { ...post, text: JSON.stringify(command), durable: VERBS[order.verb].changing },
      waiting,
    );
  }

  /**
   * Sends a version 1 command to the legacy service, in the shared inbox.
   * @throws CourierError as `request()`
   */
  async requestOld(order: Order, waiting: Waiting): Promise<Response> {
    // A legacy backend's own ids are per second; a legacy service drops a name that it remembers without an answer.
    const unique = crypto.randomUUID().slice(-12);
    const id = `${order.verb}_${Math.floor(this.#clock.now() / 1000)}_${unique}`;
    const text = JSON.stringify({
      command: order.verb,
      timestamp: isoTime(this.#clock.now()).replace("Z", ""),
      command_id: id,
      ...(order.modelName === undefined ? {} : { model_name: order.modelName }),
    });
    return await this.#exchange(
      { inbox: "shared", address: "shared", id, text, durable: VERBS[order.verb].changing },
      waiting,
    );
  }

  /** Gives the reply address up: nobody waits here any more. Idempotent. */
  async close(): Promise<void> {
    const open = [this.#open.own, this.#open.shared];
    delete this.#open.own;
    delete this.#open.shared;
    await Promise.all(this.#releasing);
    for (const closable of open) await (await closable)?.close();
  }

  async #exchange(post: Post, waiting: Waiting): Promise<Response> {
    if (waiting.signal?.aborted === true) throw new CourierError("cancelled", "Nothing was sent: the caller gave up");
    const kind = post.address === "shared" ? "shared" : "own";
    await this.#openReplies(kind);
    const ended = new AbortController();
    const answered = new Promise<Reply>((resolve) => this.#pending[kind].set(post.id, resolve));
    try {
      await this.#transport.send(post.inbox, post.id, post.text, { durable: post.durable });
      const signal = waiting.signal === undefined ? ended.signal : AbortSignal.any([ended.signal, waiting.signal]);
      const reply = await Promise.race([answered, this.#clock.sleep(waiting.timeoutMs, signal)]);
      if (reply === undefined) throw await this.#unanswered(post, waiting);
      return this.#accept(post, reply);
    } finally {
      ended.abort();
      this.#pending[kind].delete(post.id);
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
    // An answer that came after its sender gave up: nobody else will remove it. A failure leaves it to the sweep.
    else if (kind === "own") this.#transport.releaseReply({ replyTo: this.#replyTo }, reply.id).catch(() => undefined);
  }

  #accept(post: Post, { content }: Reply): Response {
    const releasing = this.#release(post).finally(() => this.#releasing.delete(releasing));
    this.#releasing.add(releasing);
    if (!("text" in content)) throw new CourierError("unavailable", `Cannot read the answer: ${content.refused}`);
    const parsed = parseResponse(content.text);
    if (parsed !== undefined) return parsed;
    throw new CourierError("unavailable", "Cannot read the answer: it is not a response of the protocol");
  }

  /** Never rejects: that an answer lies there a little longer when the transport fails just now harms nobody. */
  async #release({ address, inbox, id }: Post): Promise<void> {
    await this.#transport.releaseReply(address, id).catch(() => undefined);
    if (address === "shared") await this.#transport.withdraw(inbox, id).catch(() => false);
  }

  async #unanswered(post: Post, { timeoutMs, signal, lastKnown }: Waiting): Promise<CourierError> {
    const withdrawn = await this.#transport.withdraw(post.inbox, post.id).catch(() => false);
    // The agent removes a command only once it is answered: that it could be taken back does not say it had not begun.
    const unknown = post.durable ? "It may still be done: look again before repeating" : undefined;
    if (signal?.aborted === true)
      return new CourierError("cancelled", "Stopped waiting: the caller gave up", { hint: unknown });
    const known = await lastKnown(post.id, withdrawn);
    return new CourierError("deadline_exceeded", `No answer within ${timeoutMs / 1000} s: ${known}`, {
      hint: unknown ?? "Ask again: it changes nothing",
    });
  }
}

function parseResponse(text: string): Response | undefined {
  try {
    return Response.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
