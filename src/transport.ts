// The contract of every transport, which carries commands, responses and state documents. Types only, no code.
//
// Drivers are in src/transport/. They carry text; they never validate it, retry, or decide. The rules of every transport
// are above them, in courier.ts and agent/. Every method may be called concurrently. Every method throws CourierError
// `unavailable` when the transport cannot be reached (retry with backoff; nothing happened unless the method says
// otherwise), and `internal` for an unknown failure.
// The suite in tests/transport/conformance/ checks each sentence here against every driver.
import type { Check } from "./base/check.ts";

/** Where commands are sent: one agent's own inbox, or the shared inbox, which only version 1 uses. */
export type Inbox = { readonly agent: string } | "shared";

/** Where a response goes: one sender's own replies, or the shared ones for version 1. */
export type ReplyAddress = { readonly replyTo: string } | "shared";

/**
 * The content of a command or response: its text, or why it is refused unread (too large, not a regular file, never completed,
 * not readable); `mayPass`: it may become readable, and is then delivered with its text.
 */
export type Content = { readonly text: string } | { readonly refused: string; readonly mayPass?: boolean };

/** A command as it was found. Immutable: the same id written again is another delivery with another key. */
export interface Delivery {
  readonly inbox: Inbox;
  /** The transport's name for the command; matches the grammar of ids. */
  readonly id: string;
  /** `<id>~<16 hex>`: identifies these bytes, published at this moment. Equal for every reader and after a restart. */
  readonly key: string;
  readonly content: Content;
  /** When it was published, in ms on the transport's clock (`now()`). */
  readonly sentAtMs: number;
}

/** A command that is there, unread. */
export type Sent = Pick<Delivery, "id" | "sentAtMs">;

export interface Listener {
  /** Called once per delivery key and subscription, soon after publication; order is by `sentAtMs`, then id, best effort. */
  deliver(delivery: Delivery): void;
  /** Something in the inbox has a name that is not a valid id. Called once per name. */
  refuse?(name: string, reason: string): void;
  /** Whether it takes a command now. One that it does not take stays, and is delivered soon after it may be. Missing: always. */
  hasRoom?(): boolean;
  /** How many commands stay for want of room. Called when that changes. */
  waiting?(count: number): void;
  /**
   * All commands that are there, and for which there is room, have been delivered: called once at the beginning, and before
   * each `restored`.
   */
  complete?(): void;
  /** The transport cannot be read for now. Called once, then `restored` once it can be read again. */
  interrupted?(error: Error): void;
  restored?(): void;
}

export interface Reply {
  readonly id: string;
  readonly content: Content;
}

/** The holder of a claim, identified by its instance. The name is for people. */
export interface Holder {
  readonly agent: string;
  readonly instance: string;
}

/** A subscription or an address in use. `close()` is idempotent and never rejects; nothing is delivered after it. */
export interface Closable {
  close(): Promise<void>;
}

/** One agent's state document. */
export interface StateRecord {
  readonly agent: string;
  readonly content: Content;
  /** When it was published, in ms on the transport's clock. */
  readonly publishedAtMs: number;
  /** When the agent last gave a sign of life since, on the same clock. Only of a transport with heartbeats. */
  readonly aliveAtMs?: number;
}

/** Reads all state documents again and again. It remembers which it has delivered, and none of their texts. */
export interface StateReader {
  /**
   * Delivers each document, including those of legacy services (agent `gpu`), that is new or was published again since the
   * last reading of this reader; one that cannot be read now is delivered later. How many it looks at is bounded: those
   * that it knows come first, and the log has the number of those left out. Calls must not overlap.
   * @param changed called with one document after another, which may be dropped at once
   * @returns the agents that have a document
   */
  read(changed: (record: StateRecord) => void): Promise<ReadonlySet<string>>;
}

/** Follows the state documents of all agents. */
export interface StateWatcher {
  /** A document that is new or was published again, perhaps with the same text. */
  changed(record: StateRecord): void;
  /** A heartbeat: the agent is there, and nothing else has changed. Never called by a transport without heartbeats. */
  alive(agent: string, sequence: number): void;
  /** The agent no longer has a document: at the latest with the third `synced` since. */
  removed(agent: string): void;
  /**
   * All that was there at this time has been delivered, in ms on the monotonic clock of this process. Called at the beginning,
   * and again and again while the transport can be read: only an agent that was looked for can be called silent.
   */
  synced(asOfMs: number): void;
  /** The transport cannot be read for now. Called once, then `restored` once it can be read again, after `synced`. */
  interrupted(error: Error): void;
  restored(): void;
  /**
   * The part of the transport where this agent is cannot be read for now, while others can; null: it can be read again. Only called
   * by a handle on several transports.
   */
  away(agent: string, error: Error | null): void;
}

export interface PublishOptions {
  /** Survives a power cut of the transport's host once the call resolves. For changing commands and their responses. */
  readonly durable: boolean;
}

/** The scope of a sweep: everything, which one agent of the transport does at a time, or an agent's own inbox. */
export type SweepScope = "everything" | { readonly agent: string };

/** The result of one round of a sweep. */
export interface Swept {
  readonly removed: Removed;
  /** Whether the sweep has more to do: the next call continues it. */
  readonly more: boolean;
}

/** The number of each kind that was removed. */
export interface Removed {
  readonly commands: number;
  readonly responses: number;
  readonly claims: number;
  /** Addresses for replies that their owners left behind. */
  readonly addresses: number;
  /** Files that their writer never published. */
  readonly unfinished: number;
}

/** What `forget` removed beside the state document and the inbox. */
export interface Forgotten {
  /** Commands in the inbox. */
  readonly commands: number;
}

/** One process's handle on a transport. */
export interface Transport {
  /**
   * Makes the handle usable; until it resolves, every other method throws `unavailable`. Idempotent; call it again until
   * it resolves.
   * @throws CourierError `unavailable` when the transport is not there, with the reason and a hint
   */
  connect(): Promise<void>;

  /** Ends every subscription of this handle. Idempotent. */
  close(): Promise<void>;

  /**
   * The transport's own clock in ms since 1970, which every process shares. Cheap: no call to the transport.
   * @param agent whose transport is meant, on a handle on several: each has a clock of its own. By default the first
   */
  now(agent?: string): number;

  /** Describes the transport for people: `nfs4 at /mnt/shared`. Less detailed before `connect()` resolves. */
  readonly description: string;

  /** An agent looks at its own document at most this often, in ms: on a bus for very many, each look is a request. */
  readonly lookEveryMs: number;

  /** Agents whose state documents it delivers: with more, some are left out. */
  readonly mostStates: number;

  /** Whether it has the shared inbox of version 1, with its claims and replies. Without it nothing ever arrives there. */
  readonly hasSharedInbox: boolean;

  /**
   * Checks for `doctor` whether the transport exists, whether this process may use it, and whether it is set up well. Each
   * check has its finding and a hint; checks that depend on a failed one may be left out. Works on a handle that is not
   * connected, leaves nothing behind, never rejects, and ends in bounded time even if the transport hangs.
   */
  examine(): AsyncIterable<Check>;

  // ---- the sender's side

  /**
   * Publishes a command, complete when it becomes visible. It stays until the agent removes it, whether the agent is
   * running or not.
   * @param id unique; sending an id again replaces its command
   * @throws CourierError `not_found` when there is no such inbox, since the agent was never there; `exhausted` when the
   * transport is full; `deadline_exceeded` when the transport was lost meanwhile: it may have been sent
   */
  send(inbox: Inbox, id: string, text: string, options: PublishOptions): Promise<void>;

  /**
   * Withdraws a command.
   * @returns true when it was still there and is removed now; an agent may have read it before
   */
  withdraw(inbox: Inbox, id: string): Promise<boolean>;

  /**
   * Takes an address for replies into use and delivers each reply once, and again when it was published with other bytes.
   * The address must be in use before a command that names it is sent. Closing it gives the address up; `respond` then drops
   * later responses.
   * @param wanted whether an id is this sender's; only called at "shared", which has the replies of every sender
   * @param accept whether the reply is the one that is awaited under its id. One that is not stays, and the transport looks
   *   for the next as eagerly as before
   */
  openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable>;

  /** Removes a reply that was read. Idempotent. */
  releaseReply(address: ReplyAddress, id: string): Promise<void>;

  // ---- the agent's side

  /** Makes the agent's inbox if it does not exist. Idempotent. Until then senders get `not_found`. */
  openInbox(inbox: Inbox): Promise<void>;

  /** Delivers the present and all later commands of an inbox. Continues by itself after the transport was unreachable. */
  receive(inbox: Inbox, listener: Listener): Promise<Closable>;

  /**
   * The commands that are in an inbox, unread, in no order.
   * @param wanted whether a command of this id is of interest: each that is may cost a call
   * @param most how many are returned at most, whichever they are
   * @throws CourierError `not_found` when that agent was never there; `unavailable`
   */
  commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]>;

  /** Looks again. @returns false when the command was removed or is no longer these bytes */
  isUnchanged(delivery: Delivery): Promise<boolean>;

  /**
   * Takes the right to run this delivery, permanently. At most one holder, across processes and machines; the same holder
   * gets it again.
   * @returns whether `holder` holds it
   */
  claim(delivery: Delivery, holder: Holder): Promise<boolean>;

  /** The commands of the shared inbox that this holder has claimed, unchanged since: a restart resumes them. */
  claimedBy(holder: Holder): Promise<readonly Delivery[]>;

  /** Removes the command, unless it is no longer these bytes. Idempotent. @returns whether it was there */
  release(delivery: Delivery): Promise<boolean>;

  /**
   * Publishes a response, complete when it becomes visible; replaces one of the same id.
   * @returns false when the address is no longer in use: nobody waits, nothing was published
   */
  respond(address: ReplyAddress, id: string, text: string, options: PublishOptions): Promise<boolean>;

  /** When the response to this id was last published at the address, in ms on the transport's clock; null without one. */
  respondedAtMs(address: ReplyAddress, id: string): Promise<number | null>;

  /** Replaces the agent's state document. Readers see the old one or the new one, never a part. */
  publishState(agent: string, text: string): Promise<void>;

  /**
   * A heartbeat: shows that the agent is there, when nothing that matters has changed since its document was published.
   * @param text the document as it is now. A transport without heartbeats publishes it
   */
  renewState(agent: string, sequence: number, text: string): Promise<void>;

  /**
   * Removes what nobody will read any more by the rules in docs/protocol.md, Sweep: one bounded round, which lets other
   * calls run. Ages are by `now()`. Each file is looked at again right before its removal, and stays if it was written
   * again. Several processes may sweep at once. After the last round the next call begins from the start.
   * @throws CourierError `forbidden` when a part may not be swept; as with `unavailable`, the next call continues after it
   */
  sweep(scope: SweepScope): Promise<Swept>;

  // ---- both

  /**
   * Removes what an agent left behind: its inbox with the commands in it, and its state document, which watchers hear as
   * `removed`. Claims stay until the sweep, so that no command runs twice. An agent that is there after all makes both again.
   * When it fails, the document is still there: call it again.
   * @param publishedAtMs of the document by which the agent was judged to be gone
   * @returns null when the agent has no document, or has published again since: it stays
   * @throws CourierError `invalid` for a text that is no agent's name; `conflict` when the inbox has anything but commands
   */
  forget(agent: string, publishedAtMs: number): Promise<Forgotten | null>;

  /** Every state document, including those of legacy services (agent `gpu`), in order of names. */
  readStates(): Promise<readonly StateRecord[]>;

  /** For a program that reads all state documents now and then, and keeps little of each. Touches nothing yet. */
  openStates(): StateReader;

  /** One agent's state document; null when it has not published one. */
  readState(agent: string): Promise<StateRecord | null>;

  /**
   * Delivers the present state documents and each later change, at the latest with the next but one `synced`. A reader of
   * thousands of documents costs less than `readStates()`: it keeps no text. Continues by itself after the transport was
   * unreachable. How many documents it follows is bounded; the log has the number of those left out.
   */
  watchStates(watcher: StateWatcher): Promise<Closable>;

  /**
   * The roster as it was last published; null before. Everybody who may write to the transport may write it: it means
   * nothing until its signature is verified. Cheap while it is the same.
   */
  readRoster(): Promise<Content | null>;

  /** Replaces the roster. Readers see the old one or the new one, never a part. Durable before it resolves. */
  publishRoster(text: string): Promise<void>;
}
