// What one handle knows of a network share's folders: it asks only for names that a listing has shown, and rarely twice.
import { basename, dirname } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { realFolder } from "./folders.ts";

/** Owner, modes and device of a folder count as current for this long. */
const FACTS_HOLD_MS = 1_000;
/** Those of senders come and go; a forgotten folder costs a listing of its parent. */
const REMEMBERED_FOLDERS = 1_000;
/** A longer listing is not kept: anyone may fill a folder with names. */
const REMEMBERED_NAMES = 100_000;

export class Listings {
  readonly #fs: Primitives;
  readonly #clock: Clock;
  readonly #folders = new Map<string, { readonly facts: Facts; readonly atMs: number }>();
  /** By folder: its last listing. */
  readonly #listed = new Map<string, { readonly names: ReadonlySet<string>; readonly atMs: number }>();
  readonly #fresh = new SharedListings(async (path) => await this.#list(path));

  constructor(fs: Primitives, clock: Clock) {
    this.#fs = fs;
    this.#clock = clock;
  }

  /** As `realFolder`, with facts that may be a moment old: before something in the folder is changed, it is held (`inside`). */
  async folder(path: string): Promise<Facts | null> {
    const known = this.#folders.get(path);
    if (known !== undefined && this.#clock.monotonic() - known.atMs < FACTS_HOLD_MS) return known.facts;
    if (known === undefined && !(await this.names(dirname(path))).has(basename(path))) return null;
    const facts = await realFolder(this.#fs, path);
    if (facts === null) this.forget(path);
    else this.note(path, facts);
    return facts;
  }

  /** Remembers a folder that a call has just found. */
  note(path: string, facts: Facts): void {
    if (this.#folders.size >= REMEMBERED_FOLDERS) this.#folders.clear();
    this.#folders.set(path, { facts, atMs: this.#clock.monotonic() });
  }

  /** Forgets a folder that a call found gone: the next look begins with a listing. */
  forget(path: string): void {
    this.#folders.delete(path);
    this.#listed.delete(path);
  }

  clear(): void {
    this.#folders.clear();
    this.#listed.clear();
  }

  /** The names in a folder, by a fresh listing. */
  async names(path: string): Promise<ReadonlySet<string>> {
    return await this.#fresh.read(path);
  }

  /** Whether the last listing of a folder shows a name, when it is no older than `maxAgeMs`, or else a fresh one. */
  async shows(path: string, name: string, maxAgeMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    const last = this.#listed.get(path);
    if (last?.names.has(name) === true && this.#clock.monotonic() - last.atMs <= maxAgeMs) return true;
    return (await this.names(path)).has(name);
  }

  async #list(path: string): Promise<ReadonlySet<string>> {
    const atMs = this.#clock.monotonic();
    const names = new Set(await this.#fs.readdir(path));
    if (this.#listed.size >= REMEMBERED_FOLDERS) this.#listed.clear();
    if (names.size > REMEMBERED_NAMES) this.#listed.delete(path);
    else this.#listed.set(path, { names, atMs });
    return names;
  }
}

/** Fresh listings that many callers share: thousands of questions at once do not cost a listing each. */
export class SharedListings {
  readonly #list: (path: string) => Promise<ReadonlySet<string>>;
  /** By path: the listing that began last, and the one that comes after it. */
  readonly #begun = new Map<string, Promise<unknown>>();
  readonly #next = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(list: (path: string) => Promise<ReadonlySet<string>>) {
    this.#list = list;
  }

  /** A listing that begins after this call, since one under way may have passed the name in question. All callers until then share it. */
  async read(path: string): Promise<ReadonlySet<string>> {
    const waiting = this.#next.get(path);
    if (waiting !== undefined) return await waiting;
    const next = this.#afterLast(path);
    this.#next.set(path, next);
    return await next;
  }

  async #afterLast(path: string): Promise<ReadonlySet<string>> {
    // At least one turn, so that callers at the same time share it. How the listing before it ended does not matter here.
    await this.#begun.get(path)?.catch(() => undefined);
    await Promise.resolve();
    this.#next.delete(path);
    const listing = this.#list(path);
    this.#begun.set(path, listing);
    try {
      return await listing;
    } finally {
      if (this.#begun.get(path) === listing) this.#begun.delete(path);
    }
  }
}
