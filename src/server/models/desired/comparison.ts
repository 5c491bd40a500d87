// Compares the fleet with the file: the differences, since when each is there, and what keeps them from being changed.
import { type Clock, isoTime } from "../../../base/clock.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { DriftDocument } from "../../../documents/models/desired.ts";
import type { DesiredFleet } from "../../../program/desired/fleet_file.ts";
import { FleetPlanner } from "../../../program/desired/plan_fleet.ts";
import type { KnownAgents } from "../../../trust/agents/known_agents.ts";
import type { Attempts } from "./attempts.ts";
import { type Difference, differenceKey, differencesOf } from "./differences.ts";
import type { RegistryAnswers } from "./registry_answers.ts";
import type { WatchedFile } from "./watched_file.ts";

export interface ComparisonDeps {
  readonly attempts: Attempts;
  readonly answers: Pick<RegistryAnswers, "isOutdated" | "reasonAgainst">;
  readonly agents: Pick<KnownAgents, "verifies">;
  /** Whether it may delete at all. */
  readonly prune: boolean;
  /** In one round. */
  readonly maxDeletes: number;
  readonly file: Pick<WatchedFile, "isSettled">;
  readonly clock: Pick<Clock, "monotonic" | "now" | "sleep">;
}

export interface Compared {
  readonly differences: readonly Difference[];
  /** The same, for people and programs. */
  readonly drift: readonly DriftDocument[];
  /** Boxes that the file names and whose models are unknown. */
  readonly unknown: readonly string[];
}

/** Rounds of changes are this far apart, and a deletion waits as long: the file may be a mistake. */
export const ROUND_MS = 60_000;
/** Other work of the server runs in between. */
const BOXES_AT_ONCE = 100;

export class Comparison {
  readonly #deps: ComparisonDeps;
  #since: ReadonlyMap<string, { readonly at: string; readonly ms: number }> = new Map();

  constructor(deps: ComparisonDeps) {
    this.#deps = deps;
  }

  async compare(desired: DesiredFleet, views: readonly AgentView[]): Promise<Compared> {
    const { attempts, answers, clock } = this.#deps;
    const planner = new FleetPlanner(desired);
    const wanted = new Map(desired.models.map((model) => [model.name.toLowerCase(), model]));
    const doubt = doubtOf(this.#deps.agents.verifies, views);
    const differences: Difference[] = [];
    const unknown: string[] = [];
    for (const [index, view] of views.entries()) {
      if (index % BOXES_AT_ONCE === BOXES_AT_ONCE - 1) await clock.sleep(0);
      const plan = planner.boxPlan(view);
      if (plan === undefined) continue;
      if (plan.unknown !== null) unknown.push(view.agent);
      else differences.push(...differencesOf(view, plan, wanted, { attempts, answers, doubt }));
    }
    unknown.push(...planner.missingBoxes(views).map(({ agent }) => agent));
    this.#remember(differences, unknown);
    const held = this.#holdDeletions(differences);
    return { differences: held, drift: held.map((difference) => this.#driftOf(difference)), unknown };
  }

  /** Forgets the differences that are gone. */
  #remember(differences: readonly Difference[], unknown: readonly string[]): void {
    const now = { at: isoTime(this.#deps.clock.now()), ms: this.#deps.clock.monotonic() };
    const keys = differences.map(differenceKey);
    this.#since = new Map(keys.map((key) => [key, this.#since.get(key) ?? now]));
    this.#deps.attempts.keepOnly(new Set(keys), new Set(unknown));
  }

  #holdDeletions(differences: readonly Difference[]): readonly Difference[] {
    const { prune, maxDeletes, file, clock } = this.#deps;
    let room = maxDeletes;
    return differences.map((difference) => {
      if (difference.action !== "delete" || difference.hold !== null) return difference;
      if (!prune) return { ...difference, hold: "gpu-server runs without --desired-prune" };
      if (!file.isSettled) return { ...difference, hold: "Waits for the file: it is being changed, or has a mistake" };
      const sinceMs = this.#since.get(differenceKey(difference))?.ms ?? clock.monotonic();
      if (clock.monotonic() - sinceMs < ROUND_MS)
        return { ...difference, hold: `Waits ${ROUND_MS / 1000} s, in case the file is a mistake` };
      room -= 1;
      return room >= 0
        ? difference
        : { ...difference, hold: `Waits for a later round: ${maxDeletes} are deleted in one` };
    });
  }

  #driftOf(difference: Difference): DriftDocument {
    const { agent, model, action, job, hold } = difference;
    const since = this.#since.get(differenceKey(difference))?.at ?? isoTime(this.#deps.clock.now());
    return { agent, model, action, since, job, reason: hold };
  }
}

/**
 * Who writes to the share can write an unsigned state, and with it choose the labels by which the file names boxes. Where any
 * agent signs, nothing is deleted by the state of one that does not.
 */
function doubtOf(verifies: boolean, views: readonly AgentView[]): (view: AgentView) => string | null {
  const anySigns = views.some(({ key }) => key !== null && key.id !== null);
  return ({ key }) => {
    if (!anySigns) return null;
    if (!verifies) return "Nothing is deleted by states that are not verified (--verify-agents off)";
    if (key === null || key.id === null) return "Nothing is deleted by a state that is not signed";
    return key.trouble === null ? null : `Nothing is deleted by a doubtful state: ${key.trouble.reason}`;
  };
}
