// The changes by which a fleet gets the models that a file names. Pure.
import { asCourierError } from "../../base/errors.ts";
import { matchesGlob } from "../../base/glob.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView } from "../../courier/describe_view.ts";
import type { Model, State } from "../../protocol.ts";
import { Protection } from "../protection.ts";
import { type Fit, fitOf } from "../registry/model_fit.ts";
import type { DesiredFleet, DesiredModel, Target } from "./fleet_file.ts";

export interface Step {
  readonly action: "pull" | "update" | "delete" | "unchanged";
  readonly model: string;
  /** To fetch, or that the model has on this box; null: unknown. */
  readonly size: number | null;
  /** Of a model to fetch: whether it fits the memory of the box, an estimate; null: unknown. */
  readonly fits_memory?: Fit["verdict"];
}

export interface BoxPlan {
  readonly agent: string;
  /** Why the models of the box are unknown; null: they are known. */
  readonly unknown: string | null;
  /** In the order of the file, then those to delete. */
  readonly steps: readonly Step[];
  /** As far as the sizes are known. */
  readonly fetch_bytes: number;
  /** Of its disk; null: unknown. */
  readonly free_bytes: number | null;
  /** Whether the models fit the disk, before anything is deleted; null: unknown. */
  readonly fits: boolean | null;
}

/** Sizes of the copies that the fleet has, by name in lower case. */
type Copies = ReadonlyMap<string, readonly Model[]>;

interface Wanted extends DesiredModel {
  readonly key: string;
}

/**
 * A box that no entry names is left alone, also with `prune`. One whose models are unknown is no difference.
 * @param views with their lists of models and jobs
 * @returns the boxes that the file names
 */
export function planFleet(desired: DesiredFleet, views: readonly AgentView[]): readonly BoxPlan[] {
  const copies = Map.groupBy(
    views.flatMap(({ state }) => state?.models ?? []),
    ({ name }) => name.toLowerCase(),
  );
  const planner = new FleetPlanner(desired, copies);
  return [...views.flatMap((view) => planner.boxPlan(view) ?? []), ...planner.missingBoxes(views)];
}

/** Plans box by box, for a program that must not be busy for the time of a large fleet. */
export class FleetPlanner {
  readonly #wanted: readonly Wanted[];
  readonly #prune: boolean;
  readonly #copies: Copies;

  /** @param copies for the sizes of what is to be fetched; by default they are unknown */
  constructor({ models, prune }: DesiredFleet, copies: Copies = new Map()) {
    this.#wanted = models.map((model): Wanted => ({ ...model, key: model.name.toLowerCase() }));
    this.#prune = prune;
    this.#copies = copies;
  }

  /** Undefined for a box that the file does not name. */
  boxPlan(view: AgentView): BoxPlan | undefined {
    const own = this.#wanted.filter(({ on }) => on.some((target) => fits(target, view)));
    return own.length === 0 ? undefined : planBox(view, own, { prune: this.#prune, copies: this.#copies });
  }

  /** Names without `*` and `?` that no agent has. */
  missingBoxes(views: readonly AgentView[]): readonly BoxPlan[] {
    const known = new Set(views.map(({ agent }) => agent));
    const targets = this.#wanted.flatMap(({ on }) => on);
    const named = targets.flatMap((target) => (target.kind === "name" ? [target.name] : []));
    const missing = new Set(named.filter((name) => !/[*?]/.test(name) && !known.has(name)));
    return [...missing].map((agent) => unknownBox(agent, "no such agent is known"));
  }
}

/** How many steps change something. */
export function countDifferences(boxes: readonly BoxPlan[]): number {
  return boxes.flatMap(({ steps }) => steps).filter(({ action }) => action !== "unchanged").length;
}

function fits(target: Target, { agent, state }: AgentView): boolean {
  if (target.kind === "all") return true;
  return target.kind === "label" ? state?.labels?.[target.key] === target.value : matchesGlob(target.name, agent);
}

function planBox(
  view: AgentView,
  wanted: readonly Wanted[],
  { prune, copies }: { readonly prune: boolean; readonly copies: Copies },
): BoxPlan {
  const { agent, state } = view;
  const unknown = unknownReason(view);
  if (unknown !== null || state === null) return unknownBox(agent, unknown ?? describeView(view));
  const installed = new Map((state.models ?? []).map((model) => [model.name.toLowerCase(), model]));
  const steps = wanted.map((model) => withMemory(stepFor(model, installed.get(model.key), copies), state));
  const named = new Set(wanted.map(({ key }) => key));
  const isKept = keptBy(agent, state);
  const surplus = prune ? [...installed].filter(([key]) => !named.has(key) && !isKept(key)) : [];
  const deletions = surplus.map(([, { name, size }]): Step => ({ action: "delete", model: name, size }));
  return { agent, unknown: null, steps: [...steps, ...deletions], ...roomFor(steps, state) };
}

function stepFor({ name, key, digest }: Wanted, installed: Model | undefined, copies: Copies): Step {
  const isRight = (model: Model): boolean => digest === null || model.digest.startsWith(digest);
  if (installed !== undefined && isRight(installed))
    return { action: "unchanged", model: installed.name, size: installed.size };
  const size = copies.get(key)?.find(isRight)?.size ?? null;
  return { action: installed === undefined ? "pull" : "update", model: name, size };
}

/** By its whole size: next to the weights the rest of a model is nothing. */
function withMemory(step: Step, { gpus, memory = null }: State): Step {
  if (step.action !== "pull" && step.action !== "update") return step;
  return { ...step, fits_memory: fitOf(step.size, { gpus, memory }).verdict };
}

function roomFor(steps: readonly Step[], { disk }: State): Pick<BoxPlan, "fetch_bytes" | "free_bytes" | "fits"> {
  const fetched = steps.filter(({ action }) => action === "pull" || action === "update");
  const bytes = fetched.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const free = disk?.free_bytes ?? null;
  const isWhole = fetched.every(({ size }) => size !== null);
  const verdict = free === null || (bytes <= free && !isWhole) ? null : bytes <= free;
  return { fetch_bytes: bytes, free_bytes: free, fits: verdict };
}

function unknownReason(view: AgentView): string | null {
  const { online, reason, state } = view;
  if (!online || reason === "ollama_down" || state === null) return describeView(view);
  if (state.models === null || state.truncated.includes("models")) return "its list of models is unknown";
  return null;
}

/** Whether a model stays although the file does not name it, by its name in lower case. */
function keptBy(agent: string, state: State): (key: string) => boolean {
  const isProtected = protectionOf(agent, state);
  return (key) => isPulled(state, key) || isProtected(key);
}

/** Its agent refuses to delete them. A pattern that cannot be read is of a later release, and could mean any model. */
function protectionOf(agent: string, state: State): (key: string) => boolean {
  try {
    const protection = new Protection(agent, state.protected ?? []);
    return (key) => protection.protects(key);
  } catch (error) {
    if (asCourierError(error).code === "invalid") return () => true;
    throw error;
  }
}

/** A pull that is under way may be of a person who needs the model: it is looked at again when the pull has ended. */
function isPulled({ jobs }: State, key: string): boolean {
  return jobs.some(({ ended_at, model }) => ended_at === null && model.toLowerCase() === key);
}

function unknownBox(agent: string, unknown: string): BoxPlan {
  return { agent, unknown, steps: [], fetch_bytes: 0, free_bytes: null, fits: null };
}
