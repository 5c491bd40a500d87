// One of the transports of a handle on several: connected when it can be, and away until then.
import { asCourierError } from "../../base/errors.ts";
import type { Outage } from "../../base/outage.ts";
import type { StateRecord, Transport } from "../../transport.ts";

export class Member {
  readonly transport: Transport;
  readonly #outage: Pick<Outage, "failed" | "ended">;
  #connecting: Promise<void> | undefined;
  #isConnected = false;

  /** @param outage of this transport */
  constructor(transport: Transport, outage: Pick<Outage, "failed" | "ended">) {
    this.transport = transport;
    this.#outage = outage;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get description(): string {
    return this.transport.description;
  }

  /** Callers at the same time share one attempt: a driver would open a connection for each. */
  async connect(): Promise<void> {
    if (this.#isConnected) return;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
  }

  async close(): Promise<void> {
    this.#isConnected = false;
    await this.transport.close();
  }

  /** How long ago the author of a document last showed that it is there, by the clock of this transport. */
  ageMs({ publishedAtMs, aliveAtMs = publishedAtMs }: StateRecord): number {
    return this.transport.now() - Math.max(publishedAtMs, aliveAtMs);
  }

  /** What a watch finds; the log has it once. */
  failed(error: unknown): void {
    this.#outage.failed("states", error);
  }

  recovered(): void {
    this.#outage.ended("states");
  }

  async #connect(): Promise<void> {
    try {
      await this.transport.connect();
      this.#isConnected = true;
      this.#outage.ended("connect");
    } catch (error) {
      this.#outage.failed("connect", error);
      throw asCourierError(error);
    }
  }
}
