// A bucket with one key, whose entry expires by the clock of the server.
import type { Clock } from "#src/base/clock.ts";
import type { Entry, PutOptions } from "#src/transport/nats/calls/bucket.ts";

export class OneKey {
  isAway = false;
  readonly #clock: Pick<Clock, "monotonic">;
  #sequence = 0;
  #entry: (Entry & { readonly untilMs: number }) | null = null;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  async get(): Promise<Entry | null> {
    this.#answer();
    return this.#entry;
  }

  async put(_key: string, text: string, { ttlMs = 0, ifSequence }: PutOptions = {}): Promise<number | null> {
    this.#answer();
    if ((this.#entry?.sequence ?? 0) !== ifSequence) return null;
    const data = new TextEncoder().encode(text);
    this.#sequence += 1;
    this.#entry = { sequence: this.#sequence, atMs: 0, data, untilMs: this.#clock.monotonic() + ttlMs };
    return this.#sequence;
  }

  async remove(_key: string, ifSequence?: number): Promise<boolean> {
    this.#answer();
    if (this.#entry?.sequence !== ifSequence) return false;
    this.#sequence += 1;
    this.#entry = { sequence: this.#sequence, atMs: 0, data: null, untilMs: Number.POSITIVE_INFINITY };
    return true;
  }

  get isFree(): boolean {
    return this.#entry === null || this.#entry.data === null || this.#entry.untilMs <= this.#clock.monotonic();
  }

  #answer(): void {
    if (this.isAway) throw new Error("It is away");
    if (this.#entry !== null && this.#entry.untilMs <= this.#clock.monotonic()) this.#entry = null;
  }
}
