// Delivers the commands of an agent's inbox: woken by senders, and by looking into the list of those that wait, at the beginning, after
// each interruption, and now and then, because a wake may be lost.
import type { Subscription } from "@nats-io/transport-node";
import type { Clock } from "../../../base/clock.ts";
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { CommandId } from "../../../protocol.ts";
import type { Closable, Delivery, Listener } from "../../../transport.ts";
import type { Connection } from "../calls/connection.ts";
import type { Layout } from "../layout.ts";
import { type Commands, noInbox } from "./commands.ts";
import type { Waiting, WaitingLists } from "./waiting.ts";

export interface ReceiverDeps {
  readonly agent: string;
  readonly listener: Listener;
  readonly commands: Commands;
  readonly lists: WaitingLists;
  readonly connection: Connection;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly now: () => number;
  readonly log: Log;
}

const LOOK_EVERY_MS = 30_000;
const ROOM_EVERY_MS = 250;
const RETRY_MS = 1_000;
/** With several servers the one that answers may be behind: what is not there yet may still come. */
const LATE_MS = 60_000;
const LATE = { tries: 3, pauseMs: 100 };
/** So many entries that are over make it worth writing the list again. */
const TIDY_FROM = 32;
/** A list that gets this many wakes is looked at, and so tidied, before its time. */
const LOOK_AFTER_WAKES = 256;
const MAX_ID_BYTES = 128;
/** Of those without room, each time. */
const MOST_LOOKED_AT = 32;

/** As many requests are on their way at once. */
const FETCHED_AT_A_TIME = 32;

type Fetched = Delivery & { readonly sequence: number };

interface Sought {
  readonly id: string;
  readonly sequence: number;
}

interface Wake {
  /** How often it has looked for the command since. */
  tries: number;
}

interface Delivered {
  readonly sequence: number;
  readonly atMs: number;
}

export class Receiver {
  readonly #deps: ReceiverDeps;
  readonly #closed = new AbortController();
  /** Of each command that was delivered, its entry. */
  readonly #delivered = new Map<string, Delivered>();
  /** Ids that senders woke it for, each with the last of its wakes. */
  readonly #woken = new Map<string, Wake>();
  /** Commands for which there was no room, in their order. */
  #withoutRoom: readonly Sought[] = [];
  #subscription: Subscription | undefined;
  #following: Closable | undefined;
  #mustLook = true;
  #isComplete = false;
  #isInterrupted = false;
  #lookedAtMs = -Infinity;
  #wakes = 0;
  /** Ends the pause of the loop. */
  #pause = new AbortController();

  constructor(deps: ReceiverDeps) {
    this.#deps = deps;
  }

  /** @throws CourierError `not_found` when the inbox does not exist */
  async open(): Promise<void> {
    const { agent, lists, connection, layout } = this.#deps;
    if ((await lists.read(agent)) === null) throw noInbox(agent);
    this.#subscription = await connection.subscribe(layout.wake(agent), (message) => {
      if (message.data.byteLength <= MAX_ID_BYTES) this.#wakeFor(message.string());
    });
    this.#following = connection.follow({
      lost: (error) => this.#interrupt(error),
      back: () => {
        this.#mustLook = true;
        this.#pause.abort();
      },
    });
    void this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#pause.abort();
    this.#subscription?.unsubscribe();
    await this.#following?.close();
  }

  /** Anybody who may publish there may say anything: what counts is what the agent finds under that id. */
  #wakeFor(text: string): void {
    const id = CommandId.safeParse(text);
    if (!id.success || this.#woken.size > LOOK_AFTER_WAKES) this.#mustLook = true;
    else this.#woken.set(id.data, { tries: 0 });
    this.#wakes += 1;
    if (this.#wakes > LOOK_AFTER_WAKES) this.#mustLook = true;
    this.#pause.abort();
  }

  async #run(): Promise<void> {
    const { connection, clock } = this.#deps;
    while (!this.#isClosed) {
      // A wake from here on ends the pause below.
      this.#pause = new AbortController();
      const { signal } = this.#pause;
      const hasWorked = connection.isUp ? await this.#work() : true;
      if (this.#isClosed) return;
      await clock.sleep(hasWorked ? this.#pauseMs : RETRY_MS, signal);
    }
  }

  get #pauseMs(): number {
    if (!this.#deps.connection.isUp) return LOOK_EVERY_MS;
    if (this.#mustLook) return 0;
    if (this.#woken.size > 0) return LATE.pauseMs;
    if (this.#withoutRoom.length > 0) return ROOM_EVERY_MS;
    return Math.max(0, this.#lookedAtMs + LOOK_EVERY_MS - this.#deps.clock.monotonic());
  }

  /** @returns whether it worked: otherwise it is tried again soon */
  async #work(): Promise<boolean> {
    try {
      const isDue = this.#deps.clock.monotonic() - this.#lookedAtMs >= LOOK_EVERY_MS;
      await this.#deliverWhatHasRoom();
      if (this.#mustLook || isDue) await this.#look();
      await this.#deliverWoken();
      return true;
    } catch (error) {
      if (!this.#isClosed) this.#interrupt(asCourierError(error));
      this.#mustLook = true;
      return false;
    }
  }

  async #deliverWoken(): Promise<void> {
    // Those that come meanwhile have to wait: others who wake it all the time must not keep it from looking.
    const woken = [...this.#woken];
    for (const [id, wake] of woken) {
      const isFound = this.#offer(await this.#deps.commands.fetch(this.#deps.agent, id));
      wake.tries += 1;
      const isOver = isFound || wake.tries >= LATE.tries;
      // Woken again meanwhile, for the same id sent again.
      if (isOver && this.#woken.get(id) === wake) this.#woken.delete(id);
    }
  }

  async #look(): Promise<void> {
    const { agent, lists, listener, clock } = this.#deps;
    this.#mustLook = false;
    this.#wakes = 0;
    const list = await lists.read(agent);
    const over = new Set<number>();
    const inOrder = (list?.commands ?? []).toSorted((a, b) => a.sequence - b.sequence);
    for (let begin = 0; begin < inOrder.length; begin += FETCHED_AT_A_TIME) {
      const some = inOrder.slice(begin, begin + FETCHED_AT_A_TIME);
      const found = await Promise.all(some.map(async (command) => await this.#fetchIfNeeded(command)));
      if (this.#isClosed) return;
      for (const [index, command] of some.entries())
        if (this.#isOver(command, found[index])) over.add(command.sequence);
    }
    this.#keepDelivered(list?.commands ?? []);
    this.#lookedAtMs = clock.monotonic();
    if (this.#isClosed) return;
    if (over.size >= TIDY_FROM) void this.#tidy(over);
    if (this.#isComplete && !this.#isInterrupted) return;
    this.#isComplete = true;
    listener.complete?.();
    if (!this.#isInterrupted) return;
    this.#isInterrupted = false;
    listener.restored?.();
  }

  /** The server may be full, and can still be read. The next look tries again. */
  async #tidy(over: ReadonlySet<number>): Promise<void> {
    const { agent, lists, log } = this.#deps;
    await lists
      .leaveOut(agent, ({ sequence }) => over.has(sequence))
      .catch((error: unknown) => log.debug({ agent, error }, "Cannot shorten the list of waiting commands"));
  }

  /** @returns undefined when nothing depends on whether it is there */
  async #fetchIfNeeded(command: Waiting): Promise<Fetched | null | undefined> {
    const { commands, agent } = this.#deps;
    const { id, sequence } = command;
    if (commands.isReleased(sequence) || this.#isWaiting(id, sequence)) return undefined;
    const isDelivered = this.#delivered.get(id)?.sequence === sequence;
    return isDelivered && !this.#isOld(command) ? undefined : await commands.fetch(agent, id);
  }

  /** Delivers it if it is new. @returns whether it is no longer there */
  #isOver(command: Waiting, found: Fetched | null | undefined): boolean {
    if (found === undefined) return this.#deps.commands.isReleased(command.sequence);
    return !this.#offer(found) && this.#isOld(command);
  }

  /** With several servers one that answers may not have a young one yet. A time in the future is somebody's mistake. */
  #isOld({ at }: Waiting): boolean {
    return Math.abs(this.#deps.now() - at) > LATE_MS;
  }

  /** @returns whether it is there */
  #offer(found: Fetched | null): boolean {
    const { listener } = this.#deps;
    if (this.#isClosed || found === null) return false;
    const { sequence, ...delivery } = found;
    const { id } = delivery;
    if (this.#delivered.get(id)?.sequence === sequence || this.#isWaiting(id, sequence)) return true;
    if (this.#withoutRoom.length > 0 || listener.hasRoom?.() === false) {
      this.#withoutRoom = [...this.#withoutRoom, { id, sequence }];
      listener.waiting?.(this.#withoutRoom.length);
      return true;
    }
    this.#deliver(delivery, sequence);
    return true;
  }

  /** As many as the listener has room for, the oldest first; those of the next that were withdrawn are dropped. */
  async #deliverWhatHasRoom(): Promise<void> {
    const { commands, agent, listener } = this.#deps;
    const before = this.#withoutRoom;
    if (before.length === 0) return;
    const still: Sought[] = [];
    for (const sought of before) {
      // The connection was lost right after it was delivered.
      if (this.#delivered.get(sought.id)?.sequence === sought.sequence) continue;
      if (still.length >= MOST_LOOKED_AT) {
        still.push(sought);
        continue;
      }
      const found = await commands.fetch(agent, sought.id);
      if (this.#isClosed) return;
      if (found === null) continue;
      const { sequence, ...delivery } = found;
      if (still.length > 0 || listener.hasRoom?.() === false) {
        still.push({ id: sought.id, sequence });
        continue;
      }
      this.#deliver(delivery, sequence);
    }
    this.#withoutRoom = still;
    if (still.length !== before.length) listener.waiting?.(still.length);
  }

  #interrupt(error: CourierError): void {
    if (this.#isInterrupted || this.#isClosed) return;
    this.#isInterrupted = true;
    this.#deps.log.debug({ error }, "Cannot receive commands for now");
    this.#deps.listener.interrupted?.(error);
  }

  #deliver(delivery: Delivery, sequence: number): void {
    this.#delivered.set(delivery.id, { sequence, atMs: this.#deps.clock.monotonic() });
    this.#deps.listener.deliver(delivery);
  }

  /** Remembers what the list has, and what a sender may still be adding. */
  #keepDelivered(commands: readonly Waiting[]): void {
    const listed = new Set(commands.map(({ id }) => id));
    const sinceMs = this.#deps.clock.monotonic() - LATE_MS;
    for (const [id, { atMs }] of this.#delivered) if (!listed.has(id) && atMs < sinceMs) this.#delivered.delete(id);
  }

  #isWaiting(id: string, sequence: number): boolean {
    return this.#withoutRoom.some((each) => each.id === id && each.sequence === sequence);
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }
}
