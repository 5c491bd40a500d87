// The request to leave the transport: a file in the state directory, which `gpu-agent drain` writes and the running agent takes.
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import { replaceFile } from "../../trust/replace_file.ts";

const LOOK_EVERY_MS = 500;
/** A running agent looks twice a second. */
const TAKEN_WITHIN_MS = 15_000;
/** The agent refuses commands until none arrives any more, and stops. */
const DONE_WITHIN_MS = 120_000;

export class DrainFile {
  readonly #asked: string;
  readonly #taken: string;
  readonly #clock: Clock;

  constructor(stateDir: string, clock: Clock) {
    this.#asked = join(stateDir, "drain");
    this.#taken = join(stateDir, "drain.taken");
    this.#clock = clock;
  }

  /** Forgets a request that was meant for an earlier start. */
  clear(): void {
    rmSync(this.#asked, { force: true });
    rmSync(this.#taken, { force: true });
  }

  /** Resolves once the agent is asked to leave, or with false when the signal aborts. */
  async asked(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (existsSync(this.#asked)) {
        renameSync(this.#asked, this.#taken);
        return true;
      }
      await this.#clock.sleep(LOOK_EVERY_MS, signal);
    }
    return false;
  }

  /** The agent has left. */
  done(): void {
    rmSync(this.#taken, { force: true });
  }

  /**
   * Asks the running agent to leave; resolves when it has.
   * @throws CourierError `unavailable` when no agent takes the request; `deadline_exceeded` when it does not finish; `forbidden`
   */
  async ask(): Promise<void> {
    try {
      replaceFile(this.#asked, "");
    } catch (error) {
      throw new CourierError(
        "forbidden",
        `Cannot ask the agent: ${systemCode(error) ?? String(error)} at ${this.#asked}`,
        {
          hint: "Run it as root or as the agent's user, with the agent's --state-dir",
          cause: error,
        },
      );
    }
    if (!(await this.#isGone(this.#asked, TAKEN_WITHIN_MS))) {
      rmSync(this.#asked, { force: true });
      throw new CourierError("unavailable", "No running agent took the request", {
        hint: "Start it and run this again, with the agent's --state-dir: what waits for it is refused then",
      });
    }
    if (await this.#isGone(this.#taken, DONE_WITHIN_MS)) return;
    throw new CourierError("deadline_exceeded", "The agent has not left yet", { hint: "Its log has the reason" });
  }

  async #isGone(path: string, withinMs: number): Promise<boolean> {
    const untilMs = this.#clock.monotonic() + withinMs;
    while (existsSync(path)) {
      if (this.#clock.monotonic() >= untilMs) return false;
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
    return true;
  }
}
