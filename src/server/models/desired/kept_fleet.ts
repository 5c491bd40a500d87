// Keeps the fleet in the state of a file: compares it every few seconds, and once a minute sends what is missing.
import { type Clock, isoTime, within } from "../../../base/clock.ts";
import { asCourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { WatchedFleet } from "../../../courier/index/watched_fleet.ts";
import type { Courier } from "../../../courier.ts";
import { type DesiredDocument, NOTHING_DESIRED } from "../../../documents/models/desired.ts";
import type { DesiredFleet } from "../../../program/desired/fleet_file.ts";
import type { PublishedModels } from "../../../program/registry/published.ts";
import type { KnownAgents } from "../../../trust/agents/known_agents.ts";
import type { Recorder } from "../../audit/recorder.ts";
import { Attempts } from "./attempts.ts";
import { Changes } from "./changes.ts";
import { type Compared, Comparison, ROUND_MS } from "./comparison.ts";
import type { DesiredSettings } from "./flags.ts";
import { readFleetText } from "./read_file.ts";
import { RegistryAnswers } from "./registry_answers.ts";
import { WatchedFile } from "./watched_file.ts";
import { WholeLists } from "./whole_lists.ts";

export interface KeptFleetDeps {
  readonly fleet: Pick<WatchedFleet, "requireCurrent" | "lastKnown">;
  readonly courier: Pick<Courier, "pullModel" | "deleteModel" | "listModels" | "publishedModel" | "now">;
  readonly agents: Pick<KnownAgents, "verifies">;
  readonly publishedModels: Pick<PublishedModels, "ask">;
  readonly recorder: Pick<Recorder, "byItself">;
  /** Of several servers with one store, of which one acts; null: this server is alone. */
  readonly desiredLease: ActingLease | null;
  /** By default from the disk. */
  readonly read?: (path: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
}

interface ActingLease {
  run(stop: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void>;
}

const LOOK_MS = 1_000;
const COMPARE_MS = 10_000;
const LEAVE_MS = 5_000;
/** A comparison takes at most this part of the time. */
const SHARE = 20;

export class KeptFleet {
  readonly #settings: DesiredSettings | null;
  readonly #deps: KeptFleetDeps;
  readonly #file: WatchedFile;
  readonly #attempts: Attempts;
  readonly #answers: RegistryAnswers;
  readonly #lists: WholeLists;
  readonly #comparison: Comparison;
  readonly #changes: Changes;
  /** Aborts when this server may not act any more; null: it may not. */
  #held: AbortSignal | null = null;
  /** Null: nothing is being sent. */
  #acting: Promise<void> | null = null;
  #actedMs = Number.NEGATIVE_INFINITY;
  #compared: { readonly desired: DesiredFleet; readonly result: Compared; readonly atMs: number } | null = null;
  #woken = new AbortController();

  /** @param settings null: there is no file, and nothing runs */
  constructor(settings: DesiredSettings | null, deps: KeptFleetDeps) {
    const { courier, read = readFleetText } = deps;
    const { file = "", ...limits } = settings ?? { prune: false, maxDeletes: 0 };
    this.#settings = settings;
    this.#deps = deps;
    this.#file = new WatchedFile({ ...deps, path: file, read });
    this.#attempts = new Attempts({ ...deps, now: () => courier.now() });
    this.#answers = new RegistryAnswers(deps);
    this.#lists = new WholeLists(deps);
    this.#comparison = new Comparison({
      ...deps,
      ...limits,
      file: this.#file,
      attempts: this.#attempts,
      answers: this.#answers,
    });
    this.#changes = new Changes({ ...deps, attempts: this.#attempts });
  }

  document(): DesiredDocument {
    if (this.#settings === null) return NOTHING_DESIRED;
    const { inForce, problem } = this.#file;
    const { drift, unknown } = this.#compared?.result ?? NOTHING_DESIRED;
    return {
      file: this.#settings.file,
      status:
        inForce === null || this.#compared?.desired !== inForce
          ? "waiting"
          : this.#held === null
            ? "standby"
            : "active",
      checked_at: this.#compared === null ? null : isoTime(this.#compared.atMs),
      problem,
      models: inForce?.models.length ?? 0,
      drift: [...drift],
      unknown: [...unknown],
    };
  }

  /** Keeps the fleet so until `stop` aborts. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    if (this.#settings === null) return;
    const { desiredLease: lease, clock } = this.#deps;
    const lead = async (held: AbortSignal): Promise<void> => await this.#lead(held);
    const leading = lease === null ? lead(stop) : lease.run(stop, lead);
    const working = Promise.all([this.#follow(stop), this.#work(stop), leading]);
    while (!stop.aborted) await clock.sleep(2 ** 31 - 1, stop);
    // Registries and the share with the file may take longer than a server that stops should.
    await within(clock, LEAVE_MS, working, null);
  }

  async #follow(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const isFirst = this.#file.inForce === null;
      if (await this.#file.look()) {
        // After a restart, what failed before is not repeated at once.
        if (!isFirst) this.#attempts.forget();
        this.#answers.expire();
        this.#actNow();
      }
      await this.#deps.clock.sleep(LOOK_MS, stop);
    }
  }

  /** While this server is the one that acts. */
  async #lead(held: AbortSignal): Promise<void> {
    this.#held = held;
    this.#changes.begin();
    this.#actNow();
    if (this.#deps.desiredLease !== null) this.#deps.log.info({}, "This server keeps the fleet to its file now");
    await new Promise<void>((ended) => {
      if (held.aborted) ended();
      held.addEventListener("abort", () => ended(), { once: true });
    });
    await this.#acting;
    this.#held = null;
  }

  #actNow(): void {
    this.#actedMs = Number.NEGATIVE_INFINITY;
    this.#woken.abort();
  }

  async #work(stop: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!stop.aborted) {
      this.#woken = new AbortController();
      let tookMs = 0;
      try {
        tookMs = await this.#round(stop);
      } catch (error) {
        log.error({ error: asCourierError(error) }, "Cannot compare the fleet with its file");
      }
      await clock.sleep(Math.max(COMPARE_MS, SHARE * tookMs), AbortSignal.any([stop, this.#woken.signal]));
    }
  }

  /** @returns how long a comparison takes */
  async #round(stop: AbortSignal): Promise<number> {
    const desired = this.#file.inForce;
    if (desired === null || !(await this.#isCurrent())) return 0;
    // A comparison that began before the last commands were answered would send them again.
    const isAtRest = this.#acting === null;
    const { tookMs, result } = await this.#compare(desired, stop);
    const held = this.#held;
    const isDue = this.#deps.clock.monotonic() - this.#actedMs >= ROUND_MS;
    // Another file may have come into force meanwhile.
    if (held !== null && !held.aborted && isDue && isAtRest && desired === this.#file.inForce) {
      this.#actedMs = this.#deps.clock.monotonic();
      this.#acting = this.#act(desired, result, held);
    }
    if (await this.#answers.refresh(desired, this.#deps.fleet.lastKnown())) this.#actNow();
    return tookMs;
  }

  /** Boxes that hang must not keep the fleet from being compared. Never rejects. */
  async #act(desired: DesiredFleet, { differences }: Compared, held: AbortSignal): Promise<void> {
    await this.#changes.send(differences, held, () => desired === this.#file.inForce);
    this.#acting = null;
    this.#woken.abort();
  }

  async #compare(desired: DesiredFleet, stop: AbortSignal) {
    const { fleet, clock } = this.#deps;
    const views = await this.#lists.fill(fleet.lastKnown(), stop);
    const startedMs = clock.monotonic();
    const result = await this.#comparison.compare(desired, views);
    this.#compared = { desired, result, atMs: clock.now() };
    return { result, tookMs: clock.monotonic() - startedMs };
  }

  /** While the states cannot be read, nothing is known of the fleet. The log shows that already. */
  async #isCurrent(): Promise<boolean> {
    try {
      await this.#deps.fleet.requireCurrent();
      return true;
    } catch (error) {
      if (asCourierError(error).code !== "unavailable") throw error;
      return false;
    }
  }
}
