// Connects to the transport in the background, and keeps the reason while it cannot.
import type { Clock } from "../base/clock.ts";
import { asCourierError, CourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Outage } from "../base/outage.ts";
import type { Transport } from "../transport.ts";

const RETRY_MS = 1000;

export class Connection {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #outage: Outage;
  readonly #firstLook = Promise.withResolvers<void>();
  #failure: CourierError | undefined = new CourierError("unavailable", "The share has not been reached yet");

  constructor(transport: Transport, clock: Clock, log: Log) {
    this.#transport = transport;
    this.#clock = clock;
    this.#log = log;
    this.#outage = new Outage({ clock, log });
  }

  /** Resolves when the transport is connected, or when `signal` aborts. Never rejects. */
  async open(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#connected())) await this.#clock.sleep(RETRY_MS, signal);
  }

  /** Resolves after the first attempt to connect, successful or not. */
  async lookedFor(): Promise<void> {
    await this.#firstLook.promise;
  }

  /** @throws CourierError why the transport is not connected yet */
  requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #connected(): Promise<boolean> {
    try {
      await this.#transport.connect();
      this.#failure = undefined;
      this.#outage.ended("connect");
      this.#log.info({ transport: this.#transport.description }, "Reached the share");
      return true;
    } catch (error) {
      this.#failure = asCourierError(error);
      this.#outage.failed("connect", error);
      return false;
    } finally {
      this.#firstLook.resolve();
    }
  }
}
