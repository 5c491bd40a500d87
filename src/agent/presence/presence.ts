// The round of every 5 s: checks the agent's name, decides whether it serves the shared inbox, publishes its state.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { LIMITS } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";
import type { BootCounter } from "./boot_counter.ts";
import type { Condition } from "./condition.ts";
import type { Identity } from "./identity.ts";
import type { NameGuard } from "./name_guard.ts";
import { describeConflict, type NameWait } from "./name_wait.ts";
import type { Candidate, ServingMode, SharedInboxElection } from "./shared_inbox.ts";
import type { StatePublisher } from "./state_publisher.ts";
import type { StatusLine } from "./status_line.ts";

export interface PresenceDeps {
  readonly identity: Identity;
  readonly sharedInbox: ServingMode;
  readonly transport: Pick<Transport, "readState" | "lookEveryMs">;
  readonly condition: Condition;
  readonly guard: Pick<NameGuard, "judge" | "mustWait" | "resume" | "isContested">;
  readonly name: Pick<NameWait, "untilFree">;
  readonly boots: Pick<BootCounter, "raise">;
  readonly election: SharedInboxElection;
  readonly intake: {
    open(inbox: "own" | "shared"): Promise<void>;
    close(inbox: "own" | "shared"): Promise<void>;
    settle(): Promise<void>;
  };
  readonly monitor: { readonly health: { readonly reachable: boolean } };
  readonly state: Pick<StatePublisher, "hasPublished" | "publishPaced" | "publishAgain">;
  readonly statusLine: StatusLine;
  readonly changes: { notify(what: "state"): void };
  readonly heartbeat: { passed(loop: "state"): void };
  readonly clock: Clock;
  readonly log: Log;
}

const NOTHING = { otherHost: null, isForeign: false };
/** A foreign document in place of the agent's own stays this long, if more of them follow. */
const DEFEND_EVERY_MS = 1000;
/** By then an agent without a rival holds its name. */
const SETTLED_MS = 3 * LIMITS.silentMs;

export class Presence {
  readonly #deps: PresenceDeps;
  /** When it last looked at its document, and when it began to publish, on the monotonic clock. */
  #judgedAtMs = Number.NEGATIVE_INFINITY;
  #begunAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: PresenceDeps) {
    this.#deps = deps;
  }

  /** A round every 5 s until the signal aborts. Documents that cannot be read change nothing. */
  async run(signal: AbortSignal): Promise<void> {
    const { guard, state, statusLine, heartbeat, clock } = this.#deps;
    this.#begunAtMs = clock.monotonic();
    for (let round = 0; !signal.aborted; round++) {
      await this.#unlessUnreadable(async () => {
        if (guard.mustWait) await this.#waitForName(signal);
        if (this.#isDue) await this.#judge();
        await this.#deps.intake.settle();
      });
      // The start has just published.
      if (round > 0) await state.publishPaced();
      statusLine.show();
      heartbeat.passed("state");
      const nextAtMs = clock.monotonic() + LIMITS.stateIntervalMs;
      while (guard.isContested && !signal.aborted && clock.monotonic() < nextAtMs) await this.#defend(signal);
      await clock.sleep(Math.max(0, nextAtMs - clock.monotonic()), signal);
    }
  }

  /** Looks at the name every second while somebody forges the agent's document, and at nothing else. */
  async #defend(signal: AbortSignal): Promise<void> {
    const { identity, transport, clock } = this.#deps;
    await clock.sleep(DEFEND_EVERY_MS, signal);
    if (!signal.aborted)
      await this.#unlessUnreadable(async () => {
        await this.#judgeName(await transport.readState(identity.agent));
      });
  }

  async #unlessUnreadable(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#deps.log.debug({ reason: asCourierError(error).message }, "Cannot judge the states");
    }
  }

  /** As at the start: the agent that took the name during an interruption is not disturbed. */
  async #waitForName(signal: AbortSignal): Promise<void> {
    const { intake, name, guard, boots } = this.#deps;
    await Promise.all([intake.close("own"), intake.close("shared")]);
    await name.untilFree(signal);
    if (signal.aborted) return;
    await boots.raise();
    guard.resume();
    this.#begunAtMs = this.#deps.clock.monotonic();
  }

  /** Each round while a second agent may have the name, or may have started at the same time. */
  get #isDue(): boolean {
    const { transport, condition, state, clock } = this.#deps;
    const nowMs = clock.monotonic();
    if (condition.nameConflict !== null || !state.hasPublished || nowMs - this.#begunAtMs < SETTLED_MS) return true;
    return nowMs - this.#judgedAtMs >= transport.lookEveryMs;
  }

  /** An agent that serves reads all documents in any case: its own is not read twice. */
  async #judge(): Promise<void> {
    const { identity, transport, condition, election } = this.#deps;
    const { agent } = identity;
    const reads = condition.servesSharedInbox;
    this.#judgedAtMs = this.#deps.clock.monotonic();
    await this.#judgeName(await (reads ? election.look(agent) : transport.readState(agent)));
    await this.#judgeSharedInbox(reads);
  }

  /** Two agents with one name: both take no commands until one of them is gone. */
  async #judgeName(own: StateRecord | null): Promise<void> {
    const { identity, condition, guard, intake, state, log } = this.#deps;
    if (condition.phase !== "running") return;
    // Before the first publication the document may be this agent's own, from before a crash.
    const { otherHost, isForeign } = state.hasPublished ? guard.judge(own) : NOTHING;
    if (isForeign) await state.publishAgain();
    const conflict = otherHost === null ? null : describeConflict(identity, otherHost);
    if (conflict !== null && condition.nameConflict === null)
      log.error({ other_host: otherHost, host: identity.host }, conflict);
    if (conflict === null && condition.nameConflict !== null) await this.#resolved();
    condition.nameConflict = conflict;
    await (conflict === null ? intake.open("own") : intake.close("own"));
  }

  async #resolved(): Promise<void> {
    // The other one may have been a clone, whose documents count as this agent's.
    await this.#deps.boots.raise();
    this.#deps.log.info({}, "Name conflict resolved");
  }

  async #judgeSharedInbox(hasLooked: boolean): Promise<void> {
    const { condition, election, intake, changes, log } = this.#deps;
    const serves = await election.serves(this.#candidate(), hasLooked);
    if (condition.phase !== "running" || serves === condition.servesSharedInbox) return;
    await (serves ? intake.open("shared") : intake.close("shared"));
    log.info({}, serves ? "Serving the shared inbox" : "No longer serving the shared inbox");
    changes.notify("state");
  }

  #candidate(): Candidate {
    const { identity, sharedInbox, condition, monitor } = this.#deps;
    return {
      agent: identity.agent,
      mode: sharedInbox,
      serves: condition.serves,
      ollamaReachable: monitor.health.reachable,
      isServing: condition.servesSharedInbox,
    };
  }
}
