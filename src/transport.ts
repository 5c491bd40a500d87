// The seam: what carries commands, responses and state documents. Contract only, no code; imports the form of a check.
//
// Drivers stand in src/transport/. They carry text; they never validate it, retry, or decide. What is true of every
// transport lives above them, in courier.ts and agent/. Every method may be called concurrently. Every method throws
// CourierError `unavailable` when the transport cannot be reached (retry with backoff; nothing happened unless the method
// says otherwise), and `internal` for a failure that it does not know.
// The suite in tests/conformance/ holds each sentence here against every driver.
import type { Check } from "./base/check.ts";

/** Where commands lie: one agent's own inbox, or the shared inbox, which only version 1 uses. */
export type Inbox = { readonly agent: string } | "shared";

/** Where an answer goes: one sender's own replies, or beside the shared inbox for version 1. */
export type ReplyAddress = { readonly replyTo: string } | "shared";

/** What a command or response held: its text, or why it is refused unread (too large, no regular file, never completed). */
export type Content = { readonly text: string } | { readonly refused: string };

/** A command as it was found. Immutable; the same id written again is another delivery with another key. */
export interface Delivery {
  readonly inbox: Inbox;
  /** By which the command is known to the transport; fits the grammar of ids. */
  readonly id: string;
  /** `<id>~<16 hex>`: names these bytes, published at this moment. Equal for every reader and after a restart. */
  readonly key: string;
  readonly content: Content;
  /** When it was published, in ms on the transport's clock (`now()`). */
  readonly sentAtMs: number;
}

export interface Listener {
  /** Called once per delivery key and subscription, soon after publication; order is by `sentAtMs`, then id, best effort. */
  deliver(delivery: Delivery): void;
  /** Something lies there under a name that is no valid id. Called once per name. */
  refuse?(name: string, reason: string): void;
  /** The transport cannot be read just now; called once, and `restored` when it can be again. */
  interrupted?(error: Error): void;
  restored?(): void;
}

export interface Reply {
  readonly id: string;
  readonly content: Content;
}

/** Who may hold a claim. The instance tells who it is; the name is for people. */
export interface Holder {
  readonly agent: string;
  readonly instance: string;
}

/** A subscription or an address in use. `close()` is idempotent, never rejects, and nothing is delivered after it. */
export interface Closable {
  close(): Promise<void>;
}

/** One agent's state document. */
export interface StateRecord {
  readonly agent: string;
  readonly content: Content;
  /** When it was published, in ms on the transport's clock. */
  readonly publishedAtMs: number;
}

export interface PublishOptions {
  /** Survives a power cut of the transport's host once it resolved. Asked for by changing commands and their responses. */
  readonly durable: boolean;
}

/** What a sweep is for: all that lies there, which one agent of the transport does at a time, or an agent's own inbox. */
export type SweepScope = "everything" | { readonly agent: string };

/** What one round of a sweep came to. */
export interface Swept {
  readonly removed: Removed;
  /** Whether the sweep is not at its end: the next call goes on. */
  readonly more: boolean;
}

/** How many of each went. */
export interface Removed {
  readonly commands: number;
  readonly responses: number;
  readonly claims: number;
  /** Addresses for replies that their owner left behind. */
  readonly addresses: number;
  /** What its writer never came to publish. */
  readonly unfinished: number;
}

/** One process's handle on a transport. */
export interface Transport {
  /**
   * Makes the handle usable; until it resolved, every other method throws `unavailable`. Idempotent; call it again until
   * it resolves.
   * @throws CourierError `unavailable`: not there, with the reason and what to do
   */
  connect(): Promise<void>;

  /** Ends every subscription of this handle. Idempotent. */
  close(): Promise<void>;

  /** The transport's own clock in ms since 1970: the one clock that every process shares. Cheap: kept in step, not asked. */
  now(): number;

  /** What the transport is, for people: `nfs4 at /mnt/shared`. Before `connect()` resolved: what is known. */
  readonly description: string;

  /**
   * Looks, for `doctor`, at what the transport depends on: is it there, may this process use it, is it set up well. A
   * check says what was found and what to do; what depends on one that failed may be left out. Works on a handle that is
   * not connected, leaves nothing behind, never rejects, and ends in bounded time also when the transport hangs.
   */
  examine(): AsyncIterable<Check>;

  // ---- the sender's side

  /**
   * Publishes a command, whole at the moment it becomes visible. It stays until the agent removes it, whether the agent
   * is there or not. An agent that was never there has no inbox: `not_found`.
   * @param id unique; sending an id again replaces what lies there
   * @throws CourierError `not_found` when there is no such inbox; `exhausted` when the transport is full
   */
  send(inbox: Inbox, id: string, text: string, options: PublishOptions): Promise<void>;

  /**
   * Takes a command back.
   * @returns true when it was still there and is gone now; an agent may have read it before
   */
  withdraw(inbox: Inbox, id: string): Promise<boolean>;

  /**
   * Takes an address for replies into use and delivers each reply once. The address must be in use before a command that
   * names it is sent. Closing it gives it up; answers still on their way are then dropped by `respond`.
   * @param wanted at "shared", where everybody's replies lie, says which ids are this sender's; at an own address all are
   */
  openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    deliver: (reply: Reply) => void,
  ): Promise<Closable>;

  /** Removes a reply that was read. Idempotent. */
  releaseReply(address: ReplyAddress, id: string): Promise<void>;

  // ---- the agent's side

  /** Makes the agent's inbox when it is not there. Idempotent. Before it, senders get `not_found`. */
  openInbox(inbox: Inbox): Promise<void>;

  /** Delivers what lies in an inbox and what comes. Goes on by itself after the transport was unreachable. */
  receive(inbox: Inbox, listener: Listener): Promise<Closable>;

  /** Looks again: false when the command was removed or is no longer these bytes. */
  isUnchanged(delivery: Delivery): Promise<boolean>;

  /**
   * Takes the right to run this delivery, forever. At most one holder, across processes and machines; the same holder
   * asking again still holds it.
   * @returns whether `holder` holds it
   */
  claim(delivery: Delivery, holder: Holder): Promise<boolean>;

  /** What still lies in the shared inbox, unchanged, and is claimed by this holder: what a restart takes up again. */
  claimedBy(holder: Holder): Promise<readonly Delivery[]>;

  /** Removes the command, unless it is no longer these bytes. Idempotent. */
  release(delivery: Delivery): Promise<void>;

  /**
   * Publishes an answer, whole at the moment it becomes visible; replaces one of the same id.
   * @returns false when the address is not in use any more: nobody waits, nothing was published
   */
  respond(address: ReplyAddress, id: string, text: string, options: PublishOptions): Promise<boolean>;

  /** When the answer to this id was last published at the address, in ms on the transport's clock; null when none lies there. */
  respondedAtMs(address: ReplyAddress, id: string): Promise<number | null>;

  /** Replaces the agent's state document. Readers see the old one or the new one, never less. */
  publishState(agent: string, text: string): Promise<void>;

  /**
   * Removes what nobody will read any more by the rules in docs/protocol.md, Sweep: one bounded round, which lets other
   * calls pass. Ages are by `now()`; each thing is looked at again just before it goes, and stays when it was written
   * again. Several may sweep at one time. After the last round the next call begins from the start.
   * @throws CourierError `forbidden` when a part may not be swept; like `unavailable`, the next call goes on behind it
   */
  sweep(scope: SweepScope): Promise<Swept>;

  // ---- both

  /** Every state document there is, those of legacy services with them (agent `gpu`), in order of names. */
  readStates(): Promise<readonly StateRecord[]>;

  /** One agent's state document; null when there is none. */
  readState(agent: string): Promise<StateRecord | null>;
}
