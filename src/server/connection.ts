// Reaches the transport in the background, and knows why it is not there yet. Imports the seam, clock, errors, log.
import type { Clock } from "../clock.ts";
import { asCourierError, CourierError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Transport } from "../transport.ts";

const RETRY_MS = 1000;
/** A reason that stays the same is logged again only so often. */
const REMIND_MS = 10 * 60_000;

export class Connection {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #log: Log;
  #failure: CourierError | undefined = new CourierError("unavailable", "The share has not been reached yet");
  #logged: { readonly message: string; readonly atMs: number } | undefined;

  constructor(transport: Transport, clock: Clock, log: Log) {
    this.#transport = transport;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves once the transport was reached, or when `signal` aborts. Never rejects. */
  async open(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#connected())) await this.#clock.sleep(RETRY_MS, signal);
  }

  /** @throws CourierError why the transport was not reached yet */
  requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #connected(): Promise<boolean> {
    try {
      await this.#transport.connect();
      this.#failure = undefined;
      this.#log.info({ transport: this.#transport.description }, "Reached the share");
      return true;
    } catch (error) {
      this.#failure = asCourierError(error);
      this.#remind(this.#failure);
      return false;
    }
  }

  #remind({ message, hint }: CourierError): void {
    const nowMs = this.#clock.monotonic();
    if (this.#logged?.message === message && nowMs - this.#logged.atMs < REMIND_MS) return;
    this.#logged = { message, atMs: nowMs };
    this.#log.warn({ reason: message, ...(hint === undefined ? {} : { hint }) }, "Cannot reach the share, trying on");
  }
}
