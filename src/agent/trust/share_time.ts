// Notices when the clock of the share goes back: by that clock, signed commands that had expired would be valid again.
import { type Clock, isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Transport } from "../../transport.ts";
import type { ShareTimeFile } from "./share_time_file.ts";

export interface ShareTimeDeps {
  readonly agent: string;
  readonly file: Pick<ShareTimeFile, "exists" | "read" | "write">;
  readonly transport: Pick<Transport, "now">;
  readonly changes: { notify(what: "state"): void };
  readonly clock: Clock;
  readonly log: Log;
}

/** A clock that is set may go back by less. */
export const BACK_MS = 600_000;
const LOOK_EVERY_MS = 5_000;
/** How many looks in a row must find the clocks of the share and of this machine within 10 minutes of each other: 5 minutes. */
const AGREED_LOOKS = 60;
const SAVE_EVERY_MS = 60_000;
/** The last moment that a date can show. A file, by which the share's clock is read, may claim any. */
const LAST_MS = 8.64e15;

export class ShareTime {
  readonly #deps: ShareTimeDeps;
  /** In ms since 1970; null before the first look. */
  #latestMs: number | null;
  #savedMs: number | null;
  /** On the monotonic clock. */
  #triedToSaveAtMs = Number.NEGATIVE_INFINITY;
  #hasFailedToSave = false;
  #agreedLooks = 0;
  #loggedTrouble: string | null = null;

  /** @throws CourierError `forbidden` when the time that was kept cannot be read */
  constructor(deps: ShareTimeDeps) {
    this.#deps = deps;
    this.#latestMs = deps.file.read();
    this.#savedMs = this.#latestMs;
  }

  /** Why no signed command may change anything now; null while the share's clock has not gone back. */
  get trouble(): CourierError | null {
    const { agent, transport } = this.#deps;
    if (this.#latestMs === null || transport.now() >= this.#latestMs - BACK_MS) return null;
    const back = `it is over 10 minutes behind ${isoTime(this.#latestMs)}, the latest time seen there`;
    const deed = `set it, or accept it on ${agent} with: gpu-agent accept-clock`;
    return new CourierError("unavailable", `The share's clock went back: ${back}: ${deed}`, {
      hint: "Send the command again afterwards: this one will not run",
    });
  }

  /** Looks every 5 s; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look();
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
    }
    this.#save();
  }

  #look(): void {
    const { file, transport, clock } = this.#deps;
    const nowMs = Math.max(-LAST_MS, Math.min(LAST_MS, transport.now()));
    const agrees = this.trouble !== null && Math.abs(nowMs - clock.now()) <= BACK_MS;
    this.#agreedLooks = agrees ? this.#agreedLooks + 1 : 0;
    // `accept-clock` removes the file.
    const isAccepted = this.#savedMs !== null && !file.exists();
    const startsAgain = this.#latestMs === null || isAccepted || this.#agreedLooks > AGREED_LOOKS;
    this.#latestMs = startsAgain ? nowMs : Math.max(this.#latestMs ?? nowMs, nowMs);
    if (isAccepted) this.#savedMs = null;
    if (startsAgain || clock.monotonic() - this.#triedToSaveAtMs >= SAVE_EVERY_MS) this.#save();
    this.#report();
  }

  #save(): void {
    const { file, clock, log } = this.#deps;
    if (this.#latestMs === null || this.#latestMs === this.#savedMs) return;
    this.#triedToSaveAtMs = clock.monotonic();
    try {
      file.write(this.#latestMs);
      this.#savedMs = this.#latestMs;
      this.#hasFailedToSave = false;
    } catch (error) {
      if (!this.#hasFailedToSave) log.warn({ error }, "Cannot save the latest time of the share");
      this.#hasFailedToSave = true;
    }
  }

  #report(): void {
    const { changes, log } = this.#deps;
    const message = this.trouble?.message ?? null;
    if (message === this.#loggedTrouble) return;
    if (message === null) log.info({}, "The share's clock is accepted: signed commands may change something again");
    else log.error({}, message);
    this.#loggedTrouble = message;
    changes.notify("state");
  }
}
