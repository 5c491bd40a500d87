// Keeps the ledger usable while the agent runs: retries one that cannot be written, and removes old entries.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Ledger } from "./ledger.ts";

export interface LedgerUpkeepDeps {
  readonly ledger: Pick<Ledger, "trouble" | "recover" | "sweep">;
  /** Entries are dated by its clock: the box's may be wrong. */
  readonly transport: { now(): number };
  /** What could not be saved is saved again. */
  readonly kept: readonly { noteMissed(): void }[];
  readonly changes: { notify(what: "state"): void };
  readonly heartbeat: { passed(loop: "ledger"): void };
  readonly clock: Clock;
  readonly log: Log;
}

const CHECK_EVERY_MS = 5000;
const SWEEP_EVERY_MS = 3_600_000;

export class LedgerUpkeep {
  readonly #deps: LedgerUpkeepDeps;
  /** Why only reading verbs are served, as it was last logged. */
  #loggedTrouble: string | null = null;

  constructor(deps: LedgerUpkeepDeps) {
    this.#deps = deps;
  }

  /** The first sweep and check; needs the transport's clock. */
  begin(): void {
    const { ledger, transport, clock } = this.#deps;
    ledger.sweep(transport.now(), clock.now());
    this.#check();
  }

  /** Checks every 5 s, sweeps every hour; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { ledger, transport, kept, heartbeat, clock } = this.#deps;
    for (let sweptAtMs = clock.monotonic(); ; ) {
      heartbeat.passed("ledger");
      await clock.sleep(CHECK_EVERY_MS, signal);
      if (signal.aborted) return;
      if (ledger.trouble !== null || this.#loggedTrouble !== null) this.#check();
      if (ledger.trouble === null) for (const each of kept) each.noteMissed();
      if (clock.monotonic() - sweptAtMs < SWEEP_EVERY_MS) continue;
      ledger.sweep(transport.now(), clock.now());
      sweptAtMs = clock.monotonic();
    }
  }

  /** While nothing can be written, changing verbs are refused with the reason. */
  #check(): void {
    const { ledger, transport, changes, clock, log } = this.#deps;
    ledger.recover(clock.now(), transport.now());
    const { message = null, hint } = ledger.trouble ?? {};
    if (message === this.#loggedTrouble) return;
    if (message === null) log.info({}, "Changing verbs are served again");
    else log.error({ hint }, `Only reading verbs are served: ${message}`);
    this.#loggedTrouble = message;
    changes.notify("state");
  }
}
