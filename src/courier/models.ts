// Merges the models of several agents into one list.
import { instantMs } from "../base/clock.ts";
import { compareTexts } from "../base/order.ts";
import type { Model } from "../protocol.ts";
import { type AgentView, isPresent } from "./agent_view.ts";
import { type FleetModel, mergeCopies, modelCopy, modelKey, newestOf } from "./fleet_model.ts";
import { awayEntry, type Unavailable } from "./unavailable.ts";

export interface FleetModels {
  readonly models: readonly FleetModel[];
  readonly unavailable: readonly Unavailable[];
}

export interface AgentModels {
  readonly agent: string;
  readonly models: readonly Model[];
  /** The transport's clock minus the agent's machine's, where it is known. */
  readonly clockOffsetMs?: number | undefined;
}

/** What the state document of an agent shows; undefined: the agent is away, or must be asked. */
export function publishedModels({ agent, state, online, reason }: AgentView): AgentModels | undefined {
  if (!online || reason === "ollama_down" || state === null || state.models === null) return undefined;
  if (state.truncated.includes("models")) return undefined;
  return { agent, models: state.models, clockOffsetMs: state.clock_offset_ms };
}

/** As the states show it: no agent is asked. */
export function modelsInStates(views: readonly AgentView[]): FleetModels {
  const published = views.map((view) => ({ view, held: publishedModels(view) }));
  const unknown = published.filter(({ view, held }) => held === undefined && isPresent(view));
  return {
    models: mergeModels(published.flatMap(({ held }) => (held === undefined ? [] : [held]))),
    unavailable: unknown.map(({ view }) =>
      view.online && view.reason !== "ollama_down"
        ? awayEntry(view, "Its state does not show all its models")
        : awayEntry(view),
    ),
  };
}

/** Of one agent's list, which is the same object until the agent publishes another. */
const mergedAlone = new WeakMap<
  readonly Model[],
  { readonly of: AgentModels; readonly merged: readonly FleetModel[] }
>();

/** One entry per name and digest, newest first. `modified_at` is the latest one, corrected for the machines' clocks. */
export function mergeModels(held: readonly AgentModels[]): readonly FleetModel[] {
  const [only] = held;
  if (only === undefined || held.length > 1) return merge(held);
  const known = mergedAlone.get(only.models);
  if (known?.of.agent === only.agent && known.of.clockOffsetMs === only.clockOffsetMs) return known.merged;
  const merged = merge(held);
  mergedAlone.set(only.models, { of: only, merged });
  return merged;
}

function merge(held: readonly AgentModels[]): FleetModel[] {
  const copies = held.flatMap(({ agent, models, clockOffsetMs = 0 }) =>
    models.map((model) => modelCopy(agent, model, clockOffsetMs)),
  );
  const groups = Map.groupBy(copies, ({ model }) => modelKey(model)).values();
  const merged = [...groups].flatMap((group) => {
    const newest = newestOf(group);
    const agents = group.map(({ agent }) => agent);
    return newest === undefined ? [] : [mergeCopies(group, newest, agents)];
  });
  return merged.toSorted(byNewest);
}

/** One entry per name, the newest, for the platform's own routes. */
export function newestPerName(models: readonly Model[]): Model[] {
  const newest = new Map<string, Model>();
  for (const model of models.toSorted(byNewest))
    if (!newest.has(model.name)) newest.set(model.name, platformModel(model));
  return [...newest.values()];
}

/** The four fields that the platform knows. */
function platformModel({ name, size, modified_at, digest }: Model): Model {
  return { name, size, modified_at, digest };
}

type Dated = Model & { readonly clockOffsetMs?: number };

/** Ollama writes nanoseconds and time zones, so the times are compared, not their texts. */
function byNewest(a: Dated, b: Dated): number {
  return ageOf(a) - ageOf(b) || compareTexts(a.name, b.name) || compareTexts(a.digest, b.digest);
}

function ageOf({ modified_at, clockOffsetMs = 0 }: Dated): number {
  return -instantMs(modified_at) - clockOffsetMs;
}
