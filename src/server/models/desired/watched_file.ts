// Follows the file that names the models of the fleet: what it says is in force once it is whole and stays as it is.
import { type Clock, within } from "../../../base/clock.ts";
import { asCourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type DesiredFleet, parseFleetFile } from "../../../program/desired/fleet_file.ts";

export interface WatchedFileDeps {
  readonly path: string;
  /** @throws CourierError */
  readonly read: (path: string) => Promise<string>;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  readonly log: Log;
}

/** As it was read. */
type Content = { readonly text: string } | { readonly failure: string };

/** A file that is written in place, or a mounted folder that is exchanged, is whole by then. */
export const STEADY_MS = 5_000;
/** A share that hangs. */
const READ_MS = 10_000;

export class WatchedFile {
  readonly #deps: WatchedFileDeps;
  #seen: { readonly content: Content; readonly sinceMs: number } | null = null;
  /** The last content that was steady. */
  #judged: Content | null = null;
  #inForce: { readonly text: string; readonly fleet: DesiredFleet } | null = null;
  #problem: string | null = null;
  #reading: Promise<Content> | null = null;

  constructor(deps: WatchedFileDeps) {
    this.#deps = deps;
  }

  /** Null: none was right so far. */
  get inForce(): DesiredFleet | null {
    return this.#inForce?.fleet ?? null;
  }

  /** Why the file as it is now is not in force; null: it is, or was not judged yet. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Whether the file, when it was read last, was the one in force: it is not being changed, and has no mistake. */
  get isSettled(): boolean {
    const content = this.#seen?.content;
    return content !== undefined && "text" in content && content.text === this.#inForce?.text;
  }

  /** Looks once. Never rejects. @returns whether another file came into force */
  async look(): Promise<boolean> {
    const { clock } = this.#deps;
    const content = await this.#read();
    if (this.#seen === null || !isSame(this.#seen.content, content))
      this.#seen = { content, sinceMs: clock.monotonic() };
    const isSteady = clock.monotonic() - this.#seen.sinceMs >= STEADY_MS;
    if (!isSteady || (this.#judged !== null && isSame(this.#judged, content))) return false;
    this.#judged = content;
    return this.#judge(content);
  }

  #judge(content: Content): boolean {
    const { path, log } = this.#deps;
    if ("failure" in content) {
      this.#reject(content.failure);
      return false;
    }
    const { text } = content;
    try {
      const isOther = text !== this.#inForce?.text;
      if (isOther) this.#inForce = { text, fleet: parseFleetFile(text, path) };
      this.#problem = null;
      const { models = [], prune } = this.inForce ?? {};
      log.info({ file: path, models: models.length, prune }, "The fleet file is in force");
      return isOther;
    } catch (error) {
      const { message, hint } = asCourierError(error);
      this.#reject(message, hint);
      return false;
    }
  }

  #reject(problem: string, hint?: string): void {
    this.#problem = problem;
    const kept = this.#inForce === null ? "nothing is in force" : "the earlier one stays in force";
    this.#deps.log.warn({ reason: problem, ...(hint === undefined ? {} : { hint }) }, `Unusable fleet file: ${kept}`);
  }

  /** One call at a time: a share that hangs must not use up the threads for files. */
  async #read(): Promise<Content> {
    const { path, read, clock } = this.#deps;
    this.#reading ??= read(path)
      .then(
        (text): Content => ({ text }),
        (error: unknown): Content => ({ failure: asCourierError(error).message }),
      )
      .finally(() => {
        this.#reading = null;
      });
    const late: Content = { failure: `Cannot read ${path}: no answer for ${READ_MS / 1000} s` };
    return await within(clock, READ_MS, this.#reading, late);
  }
}

function isSame(one: Content, other: Content): boolean {
  if ("text" in one) return "text" in other && one.text === other.text;
  return "failure" in other && one.failure === other.failure;
}
