// What is known of the files in one watched folder: finds out which are new, whole or refused, and emits each once.
// Imports errors, protocol's limits and the driver's own files.
import { join } from "node:path";
import { systemCode } from "../../../base/errors.ts";
import { LIMITS } from "../../../protocol.ts";
import type { Content } from "../../../transport.ts";
import type { Facts } from "../calls/primitives.ts";
import { isGone } from "../failures.ts";
import { deliveryKey, type Letter, wholeContent } from "../files/content.ts";
import { type Found, look } from "../files/read.ts";
import type { Share } from "../share.ts";

export interface BoxOptions {
  readonly share: Share;
  readonly path: string;
  readonly maxBytes: number;
  /** @returns null for a name that is not ours to read */
  readonly idOf: (name: string) => string | null;
  readonly emit: (letter: Letter) => void;
}

interface Known {
  readonly facts: Facts;
  /** Null: not whole yet. */
  readonly key: string | null;
  /** Since when it has not changed, on the monotonic clock. */
  readonly stillSinceMs: number;
}

/** A scan gives the event loop a turn after so many files. */
const FILES_A_TURN = 64;
/** Where changes may have gone by untold, so many known files are looked at again each second, in turn. */
const RECHECKED = 256;
/** On a network each look asks the server two or three times. */
const RECHECKED_ON_NETWORK = 32;
const RECHECK_EVERY_MS = 1_000;
/** A file that is not whole is looked at again after so long, then ever more rarely while it stays as it is. */
const SOONEST_LOOK_MS = 5;
const LATEST_LOOK_MS = 1_000;
/** Keys of files that are gone, remembered against listings that miss a name for a moment. */
const REMEMBERED_KEYS = 1_000;

/** Calls must not overlap: the watch sees to that. */
export class Box {
  readonly #options: BoxOptions;
  /** By file name. */
  readonly #known = new Map<string, Known>();
  /** Files that are not whole yet, and when each is due for another look, on the monotonic clock. */
  readonly #unfinished = new Map<string, number>();
  /** Looked at because of an event since the last recheck. */
  readonly #touched = new Set<string>();
  /** Known files whose changes may have gone by untold, longest waiting first. */
  readonly #unsure = new Set<string>();
  readonly #gone = new Set<string>();
  #recheckedAtMs = Number.NEGATIVE_INFINITY;
  #hasMissed = false;
  #closed = false;
  #emitted = 0;

  constructor(options: BoxOptions) {
    this.#options = options;
  }

  /** How many letters it has emitted. */
  get emitted(): number {
    return this.#emitted;
  }

  expects(name: string): boolean {
    return this.#options.idOf(name) !== null;
  }

  /** Emits nothing any more; a scan under way ends soon. */
  close(): void {
    this.#closed = true;
  }

  /** Changes may have gone by untold: the listings to come look at every known file again, in turn. */
  missed(): void {
    this.#hasMissed = true;
  }

  /** Brings all in line with a fresh listing: emits in order of mtime, then name. */
  async listed(names: readonly string[]): Promise<void> {
    const listed = new Set(names);
    for (const name of this.#known.keys()) if (!listed.has(name)) this.#forget(name);
    await this.#recheck();
    const fresh = names.filter((name) => !this.#known.has(name) && this.expects(name));
    await this.#inTurns(await this.#inOrder(fresh), async (name) => await this.#take(name, undefined));
  }

  /** When `lookAtDue()` has something to do next, on the monotonic clock; Infinity: all is whole. */
  dueAtMs(): number {
    return Math.min(...this.#unfinished.values());
  }

  /**
   * Looks again at what was not whole. Not left to events: of two quick changes of one file Bun may report the first
   * alone (seen with 1.4.5: emptied, then written within a millisecond).
   */
  async lookAtDue(): Promise<void> {
    const nowMs = this.#options.share.clock.monotonic();
    for (const [name, dueAtMs] of this.#unfinished) if (dueAtMs <= nowMs) await this.#lookAgain(name);
  }

  /** Looks at one name that an event showed, whatever was known of it. */
  async look(name: string): Promise<void> {
    this.#touched.add(name);
    await this.#take(name, undefined);
  }

  async #lookAgain(name: string): Promise<void> {
    await this.#take(name, this.#known.get(name)?.facts);
  }

  async #take(name: string, known: Facts | undefined): Promise<void> {
    const id = this.#options.idOf(name);
    if (id === null || this.#closed) return;
    const found = await look(this.#options.share.fs, join(this.#options.path, name), this.#options.maxBytes, known);
    this.#unfinished.delete(name);
    if (found.is === "gone") this.#forget(name);
    else if (found.is === "same") await this.#expire(id, name);
    else if (found.is === "unreadable") this.#lookLater(name, this.#known.get(name)?.stillSinceMs ?? 0);
    else this.#note(id, name, found);
  }

  #note(id: string, name: string, found: Found): void {
    const key = deliveryKey(id, found);
    const before = this.#known.get(name);
    if (before?.key === key) {
      this.#known.set(name, { ...before, facts: found.facts });
      return;
    }
    const content = wholeContent(found);
    if (content === null) this.#wait(name, found.facts);
    else this.#emit(id, name, key, found.facts, content);
  }

  /** Not whole yet: the writer may be at it. */
  #wait(name: string, facts: Facts): void {
    const before = this.#known.get(name);
    const isStill = before !== undefined && before.facts.mtimeNs === facts.mtimeNs && before.facts.size === facts.size;
    const stillSinceMs = isStill ? before.stillSinceMs : this.#options.share.clock.monotonic();
    this.#known.set(name, { facts, key: null, stillSinceMs });
    this.#lookLater(name, stillSinceMs);
  }

  #lookLater(name: string, stillSinceMs: number): void {
    const nowMs = this.#options.share.clock.monotonic();
    const pauseMs = Math.min(Math.max(nowMs - stillSinceMs, SOONEST_LOOK_MS), LATEST_LOOK_MS);
    this.#unfinished.set(name, nowMs + pauseMs);
  }

  /** Refuses what was never completed. */
  async #expire(id: string, name: string): Promise<void> {
    const known = this.#known.get(name);
    if (known === undefined || known.key !== null) return;
    this.#lookLater(name, known.stillSinceMs);
    const limitMs = known.facts.size === 0 ? LIMITS.emptyMs : LIMITS.partialMs;
    if (this.#options.share.clock.monotonic() - known.stillSinceMs < limitMs) return;
    const { share, path, maxBytes } = this.#options;
    const found = await look(share.fs, join(path, name), maxBytes);
    if (found.is !== "read" || found.facts.mtimeNs !== known.facts.mtimeNs) return;
    const reason = `${found.bytes.length === 0 ? "is empty" : "is no whole JSON"}, unchanged for ${limitMs / 1000} s`;
    this.#emit(id, name, deliveryKey(id, found), found.facts, { refused: reason });
  }

  #emit(id: string, name: string, key: string, facts: Facts, content: Content): void {
    this.#known.set(name, { facts, key, stillSinceMs: 0 });
    if (this.#closed || this.#gone.has(key)) return;
    this.#emitted++;
    this.#options.emit({ id, key, content, mtimeNs: facts.mtimeNs });
  }

  #forget(name: string): void {
    const key = this.#known.get(name)?.key ?? null;
    this.#known.delete(name);
    this.#unfinished.delete(name);
    this.#touched.delete(name);
    this.#unsure.delete(name);
    if (key === null) return;
    this.#gone.add(key);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= REMEMBERED_KEYS) break;
      this.#gone.delete(oldest);
    }
  }

  /**
   * Finds what was rewritten under its name without an event: by opening, since only that asks a server again. Where
   * events tell, that is what one told of: Bun drops an event that equals the one before it within 2 ms (seen with 1.4.5).
   */
  async #recheck(): Promise<void> {
    const nowMs = this.#options.share.clock.monotonic();
    if (nowMs - this.#recheckedAtMs < RECHECK_EVERY_MS) return;
    this.#recheckedAtMs = nowMs;
    if (this.#hasMissed) for (const name of this.#known.keys()) this.#unsure.add(name);
    this.#hasMissed = false;
    const count = this.#options.share.isNetwork ? RECHECKED_ON_NETWORK : RECHECKED;
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
      return (await this.#options.share.fs.lstat(join(this.#options.path, name))).mtimeNs;
    } catch (error) {
      if (isGone(error) || systemCode(error) === "EIO") return null;
      throw error;
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
