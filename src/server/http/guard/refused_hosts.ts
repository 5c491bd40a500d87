// The log of hosts that the listener without tokens refuses: each once, so that a flood of them does not fill the log.
import type { Log } from "../../../base/log.ts";

/** Hosts are the callers' own: this many are named. */
const MAX_HOSTS = 64;

export class RefusedHosts {
  readonly #log: Pick<Log, "warn">;
  readonly #named = new Set<string>();
  #isFull = false;

  constructor(log: Pick<Log, "warn">) {
    this.#log = log;
  }

  /** @param host the Host header, cut */
  add(host: string, peer: string): void {
    if (this.#isFull || this.#named.has(host)) return;
    const hint = "If clients call it by this name, start gpu-server with --trusted-host NAME";
    this.#isFull = this.#named.size >= MAX_HOSTS;
    if (this.#isFull) return this.#log.warn({ named: MAX_HOSTS, hint }, "Refused more hosts than the log names");
    this.#named.add(host);
    this.#log.warn({ host, peer, hint }, "The listener without tokens refuses a host");
  }
}
