// The public keys of an identity provider, from its address or a file: kept for a while, and read again for a new key.
import type { Clock } from "../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../base/errors.ts";
import { type Keys, parseKeySet, type VerificationKey } from "./key.ts";
import type { Trouble } from "./trouble.ts";

export interface KeySetDeps {
  /** Reads the JSON Web Key Set. Rejects when it cannot. */
  readonly read: () => Promise<string>;
  /** Where from, for people. */
  readonly source: string;
  readonly trouble: Trouble;
  readonly clock: Pick<Clock, "monotonic">;
}

const KEPT_MS = 600_000;
/** Anybody can send a token with an unknown `kid`. */
const UNKNOWN_EVERY_MS = 60_000;
/** After a failure. */
const AGAIN_MS = 5_000;

export class KeySet implements Keys {
  readonly #deps: KeySetDeps;
  #keys: ReadonlyMap<string | undefined, VerificationKey> = new Map();
  /** On the monotonic clock. */
  #readMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #trouble: CourierError | null = null;
  #reading: Promise<void> | null = null;

  constructor(deps: KeySetDeps) {
    this.#deps = deps;
  }

  async find(kid: string | undefined): Promise<VerificationKey | undefined> {
    await this.check();
    const known = this.#of(kid);
    if (known !== undefined) return known;
    if (this.#reading !== null || this.#sinceMs(this.#askedMs) >= UNKNOWN_EVERY_MS) await this.#read();
    const found = this.#of(kid);
    if (found === undefined && this.#trouble !== null) throw this.#trouble;
    return found;
  }

  async check(): Promise<void> {
    if (this.#sinceMs(this.#readMs) < KEPT_MS) return;
    const mayAsk = this.#trouble === null || this.#sinceMs(this.#askedMs) >= AGAIN_MS;
    if (this.#reading !== null || mayAsk) await this.#read();
    if (this.#trouble !== null) throw this.#trouble;
  }

  /** A token need not name its key where there is only one. */
  #of(kid: string | undefined): VerificationKey | undefined {
    if (kid === undefined && this.#keys.size === 1) return this.#keys.values().next().value;
    return this.#keys.get(kid);
  }

  /** Never rejects: a failure becomes `#trouble`. */
  async #read(): Promise<void> {
    this.#reading ??= this.#replace().finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  async #replace(): Promise<void> {
    const { read, source, trouble, clock } = this.#deps;
    this.#askedMs = clock.monotonic();
    try {
      const keys = await parseKeySet(await read());
      if (keys === undefined)
        throw new CourierError("unavailable", `${source} has no key for RS256, ES256 or EdDSA`, {
          hint: 'It must be a JSON Web Key Set: {"keys": [...]}',
        });
      this.#keys = keys;
      this.#readMs = this.#askedMs;
      this.#trouble = null;
      trouble.ended("keys");
    } catch (error) {
      const { message, hint } = asCourierError(error);
      this.#trouble = new CourierError("unavailable", message, { hint, cause: error });
      trouble.failed("keys", this.#trouble);
    }
  }

  #sinceMs(momentMs: number): number {
    return this.#deps.clock.monotonic() - momentMs;
  }
}
