// What one handle has seen of a network share: no name is asked for that no listing has shown, and little is asked twice.
// Imports errors, the clock and the driver's own files.
import { basename, dirname } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import { systemCode } from "../../../base/errors.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { realFolder } from "./folders.ts";
import { SharedListings } from "./shared_listings.ts";

/** Owner, modes and device of a folder are taken as they were for this long. */
const FACTS_HOLD_MS = 1_000;
/** Those of senders come and go: a forgotten folder costs a listing of its parent. */
const REMEMBERED_FOLDERS = 1_000;

export class Seen {
  readonly #fs: Primitives;
  readonly #clock: Clock;
  readonly #folders = new Map<string, { readonly facts: Facts; readonly atMs: number }>();
  /** By folder: its last listing. */
  readonly #listed = new Map<string, { readonly names: ReadonlySet<string>; readonly atMs: number }>();
  readonly #listings = new SharedListings(async (path) => await this.#list(path));

  constructor(fs: Primitives, clock: Clock) {
    this.#fs = fs;
    this.#clock = clock;
  }

  /**
   * As `realFolder`; what it found a moment ago still holds.
   * @param use `write`: only while the name leads to no link
   */
  async folder(path: string, use: "read" | "write"): Promise<Facts | null> {
    const known = this.#folders.get(path);
    const isFresh = known !== undefined && this.#clock.monotonic() - known.atMs < FACTS_HOLD_MS;
    if (isFresh && (use === "read" || (await this.#isNoLink(path)))) return known.facts;
    if (known === undefined && !(await this.names(dirname(path))).has(basename(path))) return null;
    const facts = await realFolder(this.#fs, path);
    if (facts === null) this.forget(path);
    else this.note(path, facts);
    return facts;
  }

  /** A folder is there, as a call has just found. */
  note(path: string, facts: Facts): void {
    if (this.#folders.size >= REMEMBERED_FOLDERS) this.#folders.clear();
    this.#folders.set(path, { facts, atMs: this.#clock.monotonic() });
  }

  /** A call found it gone: the next look begins with a listing. */
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
    return await this.#listings.read(path);
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
    this.#listed.set(path, { names, atMs });
    return names;
  }

  /**
   * Asks this machine's kernel alone: a folder is no link (EINVAL). Where the server has replaced it by one meanwhile, the
   * kernel goes on to the folder that it knew, in this call as in those that follow.
   */
  async #isNoLink(path: string): Promise<boolean> {
    try {
      await this.#fs.readlink(path);
      return false;
    } catch (error) {
      return systemCode(error) === "EINVAL";
    }
  }
}
