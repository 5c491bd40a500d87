// The log of requests without a valid token: who sent them, within bounds, so that a flood of them does not fill the log.
import type { Clock } from "../../../base/clock.ts";
import type { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";

export interface RefusedLoginsDeps {
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

const INTERVAL_MS = 60_000;
/** So many are named in an interval. */
const MAX_PEERS = 64;

/** Logs the first refusal of a peer in a minute at once, and all others as one count when the minute is over. */
export class RefusedLogins {
  readonly #deps: RefusedLoginsDeps;
  readonly #closing = new AbortController();
  readonly #named = new Set<string>();
  #others = 0;
  #isCounting = false;

  constructor(deps: RefusedLoginsDeps) {
    this.#deps = deps;
  }

  /** @param refusal counts if the token was refused: a login that does not work, or a user without a role, is another matter */
  add(peer: string, { code, message: reason }: CourierError): void {
    if (code !== "unauthenticated") return;
    this.#count();
    if (this.#named.has(peer) || this.#named.size >= MAX_PEERS) {
      this.#others += 1;
      return;
    }
    this.#named.add(peer);
    this.#deps.log.warn({ peer, reason }, "Refused a request without a valid token");
  }

  /** Logs what was counted so far. */
  close(): void {
    this.#closing.abort();
    this.#report();
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    void this.#deps.clock.sleep(INTERVAL_MS, this.#closing.signal).then(() => this.#report());
  }

  #report(): void {
    const count = this.#others;
    this.#named.clear();
    this.#others = 0;
    this.#isCounting = false;
    if (count > 0) this.#deps.log.warn({ count }, "Refused more requests without a valid token in the last minute");
  }
}
