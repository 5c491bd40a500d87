// The known files of one watched folder: finds out which are new and complete, or refused, and emits each once.
import { join } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { LIMITS } from "../../../protocol.ts";
import type { Content } from "../../../transport.ts";
import { type Facts, isGone } from "../calls/primitives.ts";
import { deliveryKey, type Message, wholeContent } from "../files/content.ts";
import { type Found, type Look, look } from "../files/read.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";

export interface KnownFilesDeps {
  readonly share: Share;
  readonly folder: Folder;
  readonly maxBytes: number;
  /** @returns null for a name that is not ours to read */
  readonly idOf: (name: string) => string | null;
  readonly emit: (message: Message) => void;
  /** Whether another message may be emitted now. Until then files that are new stay unread. Missing: always. */
  readonly hasRoom?: () => boolean;
}

interface Known {
  readonly facts: Facts;
  /** Of its last emitted content; null before the first. */
  readonly key: string | null;
  /** False while it is empty, half-written or not readable. */
  readonly isWhole: boolean;
  /** When it last changed, on the monotonic clock. */
  readonly stillSinceMs: number;
}

/** A scan yields to the event loop after this many files. */
const FILES_A_TURN = 64;
/** When events may have been missed, this many known files are looked at again each second, in turn. */
const RECHECKED = 256;
/** On a network each look costs two or three calls of the server. */
const RECHECKED_ON_NETWORK = 32;
const RECHECK_EVERY_MS = 1_000;
/** An incomplete file is looked at again after this long, then at growing intervals while it does not change. */
const SOONEST_LOOK_MS = 5;
const LATEST_LOOK_MS = 1_000;
/** New files that are put in order at a time, when there are more than there is room for. */
const ORDERED_AT_ONCE = 20_000;
/**
 * Files that are remembered from one listing to the next. The listing itself has all names, and their number is not bounded:
 * Bun 1.4.5 reads a folder as a whole with `opendir` too (400,000 names: 85 MB, and 50 with `readdir`).
 */
const KNOWN = 100_000;
/** Keys of files that are gone, kept because a listing may miss a name for a moment. */
const REMEMBERED_KEYS = 1_000;

/** Calls must not overlap; `Watch` makes sure of it. */
export class KnownFiles {
  readonly #deps: KnownFilesDeps;
  /** By file name. */
  readonly #known = new Map<string, Known>();
  /** Incomplete files, and when each is due for another look, on the monotonic clock. */
  readonly #unfinished = new Map<string, number>();
  /** Files that an event named since the last recheck. */
  readonly #touched = new Set<string>();
  /** Known files that may have changed without an event, longest waiting first. */
  readonly #unsure = new Set<string>();
  readonly #gone = new Set<string>();
  /** Names of files that could not be read at their last look. */
  readonly #unreadable = new Set<string>();
  #recheckedAtMs = Number.NEGATIVE_INFINITY;
  #hasMissed = false;
  #closed = false;
  #emitted = 0;
  #leftOut = 0;

  constructor(deps: KnownFilesDeps) {
    this.#deps = deps;
  }

  /** How many messages it has emitted. */
  get emitted(): number {
    return this.#emitted;
  }

  /** How many new files the last listing had no room for, here or with the listener. */
  get leftOut(): number {
    return this.#leftOut;
  }

  expects(name: string): boolean {
    return this.#deps.idOf(name) !== null;
  }

  /** Stops emitting; a scan under way ends soon. */
  close(): void {
    this.#closed = true;
  }

  /** Events may have been missed: the next listings look at every known file again, in turn. */
  missed(): void {
    this.#hasMissed = true;
  }

  /** Compares with a fresh listing and emits new files in order of mtime, then name. */
  async listed(names: readonly string[]): Promise<void> {
    const listed = new Set(names);
    for (const name of this.#known.keys()) if (!listed.has(name)) this.#forget(name);
    if (this.#hasRoom()) await this.#recheck();
    const fresh = names.filter((name) => !this.#known.has(name) && this.expects(name));
    const next = this.#hasRoom() ? fresh.slice(0, Math.min(ORDERED_AT_ONCE, KNOWN - this.#known.size)) : [];
    let [leftOut, isFull] = [fresh.length - next.length, false];
    await this.#inTurns(await this.#inOrder(next), async (name) => {
      // Once one is left out, those after it are too, also when there is room again: they are younger.
      isFull ||= !this.#hasRoom();
      if (isFull) leftOut += 1;
      else await this.#take(name, undefined);
    });
    this.#leftOut = leftOut;
  }

  #hasRoom(): boolean {
    return this.#deps.hasRoom?.() ?? true;
  }

  /** When `lookAtDue()` next has something to do, on the monotonic clock; Infinity when every file is complete. */
  dueAtMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    if (this.#hasRoom()) for (const dueAtMs of this.#unfinished.values()) earliestMs = Math.min(earliestMs, dueAtMs);
    return earliestMs;
  }

  /**
   * Looks again at incomplete files. Events are not enough: of two quick changes of one file, Bun may report only the
   * first (seen with 1.4.5: emptied, then written within a millisecond).
   */
  async lookAtDue(): Promise<void> {
    const nowMs = this.#deps.share.clock.monotonic();
    for (const [name, dueAtMs] of this.#unfinished) {
      if (dueAtMs <= nowMs && this.#hasRoom()) await this.#lookAgain(name);
    }
  }

  /** Looks at a name from an event, even if the file seems known. */
  async look(name: string): Promise<void> {
    const isKnown = this.#known.has(name);
    // While older files are left out, a new one waits for the next listing with them.
    const mayTake = isKnown || (this.#leftOut === 0 && this.#known.size < KNOWN);
    if (mayTake) this.#touched.add(name);
    if (mayTake && this.#hasRoom()) await this.#take(name, undefined);
  }

  async #lookAgain(name: string): Promise<void> {
    await this.#take(name, this.#known.get(name)?.facts);
  }

  async #take(name: string, known: Facts | undefined): Promise<void> {
    const id = this.#deps.idOf(name);
    // Nobody waits for it any more.
    if (id === null) this.#unfinished.delete(name);
    if (id === null || this.#closed) return;
    const found = await look(this.#deps.share.fs, join(this.#deps.folder.path, name), this.#deps.maxBytes, known);
    this.#unfinished.delete(name);
    this.#noteReadable(name, found);
    if (found.is === "gone") await this.#takeGone(name);
    else if (found.is === "same") await this.#expire(id, name);
    else if (found.is === "unreadable") this.#lookLater(name, this.#known.get(name)?.stillSinceMs ?? 0);
    else this.#update(id, name, found);
  }

  #update(id: string, name: string, found: Found): void {
    const key = deliveryKey(id, found);
    const before = this.#known.get(name);
    if (before?.key === key) {
      this.#known.set(name, { ...before, facts: found.facts, isWhole: true });
      return;
    }
    const content = wholeContent(found);
    if (content === null) this.#wait(name, found.facts);
    else this.#emit(id, name, found, content);
  }

  /** An event may come while the whole share is away: then nothing of it is gone, and this throws. */
  async #takeGone(name: string): Promise<void> {
    const { share, folder } = this.#deps;
    if (await share.lacks(folder, name)) this.#forget(name);
    else this.#lookLater(name, this.#known.get(name)?.stillSinceMs ?? 0);
  }

  #noteReadable(name: string, found: Look): void {
    if (found.is !== "unreadable") {
      this.#unreadable.delete(name);
      return;
    }
    // One line is enough while the whole share is away.
    if (this.#unreadable.size === 0)
      this.#deps.share.log.warn({ name, error: found.error }, "Cannot read a file; trying again");
    this.#unreadable.add(name);
  }

  /** Incomplete: its writer may still be writing, or be about to let this user read it. */
  #wait(name: string, facts: Facts): void {
    const before = this.#known.get(name);
    const isStill =
      before?.isWhole === false && before.facts.mtimeNs === facts.mtimeNs && before.facts.size === facts.size;
    const stillSinceMs = isStill ? before.stillSinceMs : this.#deps.share.clock.monotonic();
    this.#known.set(name, { facts, key: before?.key ?? null, isWhole: false, stillSinceMs });
    this.#lookLater(name, stillSinceMs);
  }

  #lookLater(name: string, stillSinceMs: number): void {
    const nowMs = this.#deps.share.clock.monotonic();
    const pauseMs = Math.min(Math.max(nowMs - stillSinceMs, SOONEST_LOOK_MS), LATEST_LOOK_MS);
    this.#unfinished.set(name, nowMs + pauseMs);
  }

  /** Refuses a file that was never completed, or may not be read. One that was emitted before is not refused. */
  async #expire(id: string, name: string): Promise<void> {
    const known = this.#known.get(name);
    if (known === undefined || known.isWhole) return;
    this.#lookLater(name, known.stillSinceMs);
    const limitMs = known.facts.size === 0 ? LIMITS.emptyMs : LIMITS.partialMs;
    if (this.#deps.share.clock.monotonic() - known.stillSinceMs < limitMs) return;
    const { share, folder, maxBytes } = this.#deps;
    const found = await look(share.fs, join(folder.path, name), maxBytes);
    if (!("facts" in found) || found.facts.mtimeNs !== known.facts.mtimeNs) return;
    if (found.is === "read") this.#emit(id, name, found, { refused: neverWhole(found.bytes, limitMs) });
    else if (known.key === null) this.#emit(id, name, found, { refused: found.reason, mayPass: true });
  }

  #emit(id: string, name: string, found: Found, content: Content): void {
    const { facts } = found;
    const key = deliveryKey(id, found);
    // One that may become readable is looked at again and again.
    const isWhole = !("mayPass" in content);
    const stillSinceMs = isWhole ? 0 : (this.#known.get(name)?.stillSinceMs ?? 0);
    this.#known.set(name, { facts, key, isWhole, stillSinceMs });
    if (this.#closed || this.#gone.has(key)) return;
    this.#emitted++;
    this.#deps.emit({ id, key, content, mtimeNs: facts.mtimeNs });
  }

  #forget(name: string): void {
    const key = this.#known.get(name)?.key ?? null;
    this.#known.delete(name);
    this.#unfinished.delete(name);
    this.#touched.delete(name);
    this.#unsure.delete(name);
    this.#unreadable.delete(name);
    if (key === null) return;
    this.#gone.add(key);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= REMEMBERED_KEYS) break;
      this.#gone.delete(oldest);
    }
  }

  /**
   * Finds files that were rewritten under their name without an event, by opening them: only that asks a server again.
   * Where events work, the files they named are enough: Bun drops an event that equals the one less than 2 ms before it
   * (seen with 1.4.5).
   */
  async #recheck(): Promise<void> {
    const nowMs = this.#deps.share.clock.monotonic();
    if (nowMs - this.#recheckedAtMs < RECHECK_EVERY_MS) return;
    this.#recheckedAtMs = nowMs;
    if (this.#hasMissed) for (const name of this.#known.keys()) this.#unsure.add(name);
    this.#hasMissed = false;
    const count = this.#deps.share.isNetwork ? RECHECKED_ON_NETWORK : RECHECKED;
    const due = new Set([...this.#touched, ...[...this.#unsure].slice(0, count)]);
    await this.#inTurns([...due], async (name) => {
      await this.#lookAgain(name);
      this.#touched.delete(name);
      this.#unsure.delete(name);
    });
  }

  async #inOrder(names: readonly string[]): Promise<readonly string[]> {
    if (names.length < 2) return names;
    const dated: { readonly name: string; readonly mtimeNs: bigint }[] = [];
    await this.#inTurns(names, async (name) => {
      const mtimeNs = await this.#mtimeOf(name);
      if (mtimeNs !== null) dated.push({ name, mtimeNs });
    });
    const sorted = dated.toSorted((a, b) => Number(a.mtimeNs - b.mtimeNs) || (a.name < b.name ? -1 : 1));
    return sorted.map(({ name }) => name);
  }

  async #mtimeOf(name: string): Promise<bigint | null> {
    try {
      return (await this.#deps.share.fs.lstat(join(this.#deps.folder.path, name))).mtimeNs;
    } catch (error) {
      if (systemCode(error) === undefined || error instanceof CourierError) throw error;
      // One that cannot be looked at is no reason to wait with the others.
      return isGone(error) ? null : 0n;
    }
  }

  async #inTurns(names: readonly string[], each: (name: string) => Promise<void>): Promise<void> {
    for (const [index, name] of names.entries()) {
      if (this.#closed) return;
      if (index % FILES_A_TURN === FILES_A_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      await each(name);
    }
  }
}

function neverWhole(bytes: Buffer, limitMs: number): string {
  return `${bytes.length === 0 ? "is empty" : "is not complete JSON"}, unchanged for ${limitMs / 1000} s`;
}
