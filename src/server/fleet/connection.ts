// Connects to the transport in the background, and keeps the reason while it cannot.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import { shareAway } from "../../courier/index/share_away.ts";
import type { Transport } from "../../transport.ts";

const RETRY_MS = 1000;

export interface ConnectionDeps {
  readonly transport: Pick<Transport, "connect" | "description">;
  /** Follows the agents once the transport is connected. */
  readonly fleet: { open(): Promise<void> };
  readonly clock: Clock;
  readonly log: Log;
}

export class Connection {
  readonly #deps: ConnectionDeps;
  readonly #outage: Outage;
  readonly #firstLook = Promise.withResolvers<void>();
  #failure: CourierError | undefined = new CourierError("unavailable", "The share has not been reached yet");

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.#outage = new Outage(deps);
  }

  /** Resolves when the transport is connected, or when `signal` aborts. Never rejects. */
  async open(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#connected())) await this.#deps.clock.sleep(RETRY_MS, signal);
  }

  /** Resolves after the first attempt to connect, successful or not. */
  async lookedFor(): Promise<void> {
    await this.#firstLook.promise;
  }

  /** Whether the transport is connected. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** @throws CourierError `unavailable`: why the transport is not connected yet */
  requireOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #connected(): Promise<boolean> {
    const { transport, fleet, log } = this.#deps;
    try {
      await transport.connect();
      await fleet.open();
      this.#failure = undefined;
      this.#outage.ended("connect");
      log.info({ transport: transport.description }, "Reached the share");
      return true;
    } catch (error) {
      this.#failure = shareAway(error);
      this.#outage.failed("connect", error);
      return false;
    } finally {
      this.#firstLook.resolve();
    }
  }
}
