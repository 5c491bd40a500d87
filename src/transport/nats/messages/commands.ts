// Commands on NATS: sent, withdrawn, listed, fetched, released.
import { createHash } from "node:crypto";
import type { Clock } from "../../../base/clock.ts";
import { asCourierError, CourierError, type ErrorCode } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { LIMITS } from "../../../protocol.ts";
import type { Content, Delivery, Sent } from "../../../transport.ts";
import { commandKeptMs } from "../../retention.ts";
import type { Bucket, Entry } from "../calls/bucket.ts";
import type { Connection } from "../calls/connection.ts";
import { KEYS, type Layout } from "../layout.ts";
import { MOST_WAITING, type WaitingList, type WaitingLists } from "./waiting.ts";

export interface CommandsDeps {
  readonly bucket: Bucket;
  readonly lists: WaitingLists;
  readonly connection: Connection;
  readonly layout: Layout;
  readonly now: () => number;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

interface SentEntry {
  readonly agent: string;
  /** Null until it is stored. */
  readonly sequence: number | null;
}

/** Failures after which the list is as before. */
const NEVER_LISTED: ReadonlySet<ErrorCode> = new Set(["not_found", "exhausted", "forbidden"]);
/** Between attempts to withdraw a failed command. */
const RETRY_MS = 1_000;
const AT_A_TIME = 16;
const TEXT = new TextDecoder();

export class Commands {
  readonly #deps: CommandsDeps;
  readonly #closed = new AbortController();
  /** Of each command that this handle sent, who may answer it, and its entry once it is stored; the last ones. */
  readonly #sent = new Map<string, SentEntry>();
  /** Entries that this handle has removed; the last ones. */
  readonly #released = new Set<number>();

  constructor(deps: CommandsDeps) {
    this.#deps = deps;
  }

  close(): void {
    this.#closed.abort();
  }

  /** The agent that an id was sent to by this handle. */
  sentTo(id: string): string | undefined {
    return this.#sent.get(id)?.agent;
  }

  /**
   * The agent sees a command in its list, or is woken for it once it is there: one whose put failed, or for which the list has no
   * room, is as never sent.
   * @throws CourierError `not_found` when the agent was never there; `exhausted`; `unavailable` when it was not sent;
   *   `deadline_exceeded` when the list may have it: it is withdrawn as soon as the server answers
   */
  async send(agent: string, id: string, text: string): Promise<void> {
    const { bucket, lists, now } = this.#deps;
    if (!(await lists.exists(agent))) throw noInbox(agent);
    const keptMs = commandKeptMs(text);
    this.#noteSent(id, { agent, sequence: null });
    const sequence = await bucket.put(KEYS.command(agent, id), text, { ttlMs: keptMs });
    if (sequence === null) throw new CourierError("internal", "A put without a condition was refused");
    this.#noteSent(id, { agent, sequence });
    try {
      const isListed = await lists.add(agent, { id, sequence, at: now(), until: now() + keptMs });
      if (!isListed) throw noInbox(agent);
    } catch (error) {
      void this.#withdrawFailed(agent, id, sequence);
      throw NEVER_LISTED.has(asCourierError(error).code) ? error : mayBeSent(agent, error);
    }
    this.#wake(agent, id);
  }

  /** @returns whether it was still there */
  async withdraw(agent: string, id: string): Promise<boolean> {
    const { bucket } = this.#deps;
    // With several servers the one that answers may not have it yet: what this handle stored is there.
    const known = this.#sent.get(id);
    const isOwn = known?.agent === agent && known.sequence !== null;
    if (isOwn && (await bucket.remove(KEYS.command(agent, id), known.sequence))) return true;
    const entry = await bucket.get(KEYS.command(agent, id));
    if (entry?.data == null) return false;
    return await bucket.remove(KEYS.command(agent, id), entry.sequence);
  }

  /** @throws CourierError `not_found` without that inbox */
  async list(agent: string, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    const { commands } = await this.#required(agent);
    const found: Sent[] = [];
    const ids = commands.map(({ id }) => id).filter(wanted);
    for (let begin = 0; begin < ids.length && found.length < most; begin += AT_A_TIME) {
      const some = ids.slice(begin, begin + AT_A_TIME);
      const deliveries = await Promise.all(some.map(async (id) => await this.fetch(agent, id)));
      for (const delivery of deliveries) if (delivery !== null) found.push(delivery);
    }
    return found.slice(0, most).map(({ id, sentAtMs }) => ({ id, sentAtMs }));
  }

  /** @returns null when it is no longer there */
  async fetch(agent: string, id: string): Promise<(Delivery & { readonly sequence: number }) | null> {
    const entry = await this.#deps.bucket.get(KEYS.command(agent, id));
    if (entry?.data == null) return null;
    const content = contentOf(entry.data, LIMITS.commandBytes);
    const { sequence, atMs } = entry;
    return { inbox: { agent }, id, key: deliveryKey(id, entry), content, sentAtMs: atMs, sequence };
  }

  async isUnchanged(agent: string, { id, key }: Delivery): Promise<boolean> {
    return (await this.fetch(agent, id))?.key === key;
  }

  /** @returns whether it was there */
  async release(agent: string, { id, key }: Delivery): Promise<boolean> {
    const found = await this.fetch(agent, id);
    if (found === null || found.key !== key) return false;
    const isRemoved = await this.#deps.bucket.remove(KEYS.command(agent, id), found.sequence);
    if (isRemoved) this.#noteReleased(found.sequence);
    return isRemoved;
  }

  isReleased(sequence: number): boolean {
    return this.#released.has(sequence);
  }

  async #required(agent: string): Promise<WaitingList> {
    const list = await this.#deps.lists.read(agent);
    if (list === null) throw noInbox(agent);
    return list;
  }

  #wake(agent: string, id: string): void {
    const { connection, layout } = this.#deps;
    // When the connection is lost now, the agent finds the command in its list.
    if (connection.isUp) connection.nats.publish(layout.wake(agent), id);
  }

  #noteSent(id: string, entry: SentEntry): void {
    this.#sent.delete(id);
    this.#sent.set(id, entry);
    if (this.#sent.size <= LIMITS.states) return;
    const [oldest] = this.#sent.keys();
    if (oldest !== undefined) this.#sent.delete(oldest);
  }

  #noteReleased(sequence: number): void {
    this.#released.add(sequence);
    const [oldest] = this.#released;
    if (this.#released.size > 2 * MOST_WAITING && oldest !== undefined) this.#released.delete(oldest);
  }

  /** A command that was reported as failed must not run later. */
  async #withdrawFailed(agent: string, id: string, sequence: number): Promise<void> {
    const { bucket, clock, log } = this.#deps;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await bucket.remove(KEYS.command(agent, id), sequence);
        return;
      } catch (error) {
        log.debug({ agent, id, error }, "Cannot withdraw a command that failed; trying again");
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }
}

export function noInbox(agent: string): CourierError {
  return new CourierError("not_found", `No agent has an inbox as ${JSON.stringify(agent)}`, {
    hint: "Check the name: gpuctl agents",
  });
}

function mayBeSent(agent: string, cause: unknown): CourierError {
  const message = `The command may not have reached ${agent}: ${asCourierError(cause).message}`;
  return new CourierError("deadline_exceeded", message, {
    hint: "It may still run: check before sending it again",
    cause,
  });
}

export function contentOf(data: Uint8Array, maxBytes: number): Content {
  if (data.byteLength > maxBytes) return { refused: `is larger than ${maxBytes} bytes` };
  return { text: TEXT.decode(data) };
}

/** Equal for every reader: these bytes, stored as this entry. */
function deliveryKey(id: string, { data, sequence, atMs }: Entry): string {
  const hash = createHash("sha256")
    .update(data ?? new Uint8Array())
    .update(`\0${sequence}\0${Math.round(atMs)}`);
  return `${id}~${hash.digest("hex").slice(0, 16)}`;
}
