// Keeps the known agents of a program that runs on in its store, and takes over what other programs change there.
import type { Clock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import type { KnownAgent } from "./known_agent.ts";
import type { KnownAgents } from "./known_agents.ts";
import { type KnownAgentsStore, merged } from "./store.ts";
import { troubleHint } from "./troubles.ts";

export interface KeeperDeps {
  readonly agents: KnownAgents;
  readonly store: KnownAgentsStore & {
    /** Another number after each change that another program made. Cheap. */
    version(): number;
  };
  readonly clock: Clock;
  readonly log: Log;
}

/** New keys are stored this soon. */
const EVERY_MS = 1_000;
const POSITIONS_EVERY_MS = 60_000;
/** Agents that are named in the log at a time: anybody can invent names. */
const NAMED = 20;

export class Keeper {
  readonly #deps: KeeperDeps;
  readonly #outage: Outage;
  /** As in the store. */
  #stored: ReadonlyMap<string, KnownAgent> = new Map();
  #version = Number.NaN;
  #positionsAtMs: number;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
    this.#outage = new Outage({ clock: deps.clock, log: deps.log, subject: "Store of the agents' keys" });
    this.#positionsAtMs = deps.clock.monotonic();
  }

  /** Until the signal aborts; what is new by then is stored. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const isDue = clock.monotonic() - this.#positionsAtMs >= POSITIONS_EVERY_MS;
      this.round(isDue ? "all" : "keys");
      await clock.sleep(EVERY_MS, signal);
    }
    this.round("all");
  }

  /** @param what also the positions of agents whose key is stored, or only new keys */
  round(what: "keys" | "all"): void {
    try {
      this.save(what);
    } catch {
      // The outage has logged it, and the next round tries again.
    }
    this.#report();
  }

  /**
   * As `round()`, for a decision that somebody waits for.
   * @throws CourierError `unavailable` when it is not stored; it counts until this program ends
   */
  save(what: "keys" | "all"): void {
    try {
      this.#takeOver();
      this.#write(what);
      this.#outage.ended("store");
    } catch (error) {
      this.#outage.failed("store", error);
      const unread = Number.isNaN(this.#version);
      const failure = unusable(unread ? "read" : "store", error);
      // Any answer could come from anybody, so nothing is changed on an agent.
      if (unread) this.#deps.agents.failure = failure;
      throw failure;
    }
  }

  /** Another program changed the entries that differ from what this one stored. */
  #takeOver(): void {
    const { agents, store } = this.#deps;
    const version = store.version();
    if (version === this.#version) return;
    const stored = store.read();
    for (const [agent, known] of stored)
      if (!isSame(known, this.#stored.get(agent)) && !isSame(known, agents.known(agent))) agents.adopt(agent, known);
    for (const agent of this.#stored.keys()) if (!stored.has(agent)) agents.adopt(agent, null);
    this.#stored = stored;
    this.#version = version;
    agents.failure = null;
  }

  #write(what: "keys" | "all"): void {
    const { agents, store, clock } = this.#deps;
    const changes = agents.unsaved(what);
    store.write(changes);
    this.#stored = merged(this.#stored, changes);
    agents.saved(what);
    if (what === "all") this.#positionsAtMs = clock.monotonic();
  }

  #report(): void {
    const { agents, log } = this.#deps;
    const news = agents.troubles.takeNews();
    for (const { agent, trouble } of news.slice(0, NAMED))
      log.warn({ agent, reason: trouble.reason, hint: troubleHint(agent, trouble) }, "A state document does not count");
    if (news.length > NAMED) log.warn({ more: news.length - NAMED }, "State documents of more agents do not count");
  }
}

function isSame(one: KnownAgent, other: KnownAgent | null | undefined): boolean {
  return (
    one.key === other?.key && one.status === other.status && one.boot === other.boot && one.sequence === other.sequence
  );
}

function unusable(action: "read" | "store", cause: unknown): CourierError {
  const reason = systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new CourierError("unavailable", `Cannot ${action} the agents' keys: ${reason}`, {
    hint: "Check the server's state directory and its disk: it is tried again every second",
    cause,
  });
}
