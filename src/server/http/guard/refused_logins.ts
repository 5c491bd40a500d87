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

/** Logs the first refusal of a peer in a minute at once, and when the minute is over how many more there were. */
export class RefusedLogins {
  readonly #deps: RefusedLoginsDeps;
  readonly #closing = new AbortController();
  /** How many refusals of each peer no line stands for yet. */
  readonly #more = new Map<string, number>();
  /** The same of all peers beyond those. */
  #others = 0;
  #total = 0;
  #isCounting = false;

  constructor(deps: RefusedLoginsDeps) {
    this.#deps = deps;
  }

  /** Since the start of the program. */
  get total(): number {
    return this.#total;
  }

  /** @param refusal counts if the token was refused: a login that does not work, or a user without a role, is another matter */
  add(peer: string, { code, message: reason }: CourierError): void {
    if (code !== "unauthenticated") return;
    this.#total += 1;
    this.#count();
    const more = this.#more.get(peer);
    if (more !== undefined) this.#more.set(peer, more + 1);
    else if (this.#more.size >= MAX_PEERS) this.#others += 1;
    else {
      this.#more.set(peer, 0);
      this.#deps.log.warn({ peer, reason }, "Refused a request without a valid token");
    }
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
    const { log } = this.#deps;
    const more = [...this.#more].filter(([, refused]) => refused > 0);
    const others = this.#others;
    this.#more.clear();
    this.#others = 0;
    this.#isCounting = false;
    const text = "without a valid token in the last minute";
    for (const [peer, refused] of more) log.warn({ peer, refused }, `Refused more requests ${text}`);
    if (others > 0) log.warn({ refused: others }, `Refused requests of other addresses ${text}`);
  }
}
