// What a verb is about to change, from the published states: the base of the question and of --dry-run.
import { formatBytes } from "../../base/format.ts";
import { sameModel } from "../../base/model_name.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView } from "../../courier/describe_view.ts";
import type { PlannedChange } from "../../documents/planned.ts";

/** Words for a verb: `Delete phi4:latest from 15 boxes`. */
const WORDS = {
  delete: { deed: "Delete", where: "from" },
  pull: { deed: "Pull", where: "on" },
  unload: { deed: "Unload", where: "on" },
  copy: { deed: "Copy", where: "on" },
  cancel: { deed: "Cancel the pull of", where: "on" },
  forget: { deed: "Forget", where: "" },
} as const;

/** More names than this are counted. */
const NAMED = 3;

/** The same for each model on each agent. */
export function planChanges(
  verb: "delete" | "pull" | "unload" | "copy",
  views: readonly AgentView[],
  models: readonly string[],
  destination?: string,
): PlannedChange[] {
  const named = destination === undefined ? {} : { destination };
  return models.flatMap((model) =>
    views.map((view) => ({
      agent: view.agent,
      model,
      verb,
      ...named,
      size: sizeOf(view, model),
      skipped: reasonToSkip(verb, view, model),
    })),
  );
}

/** `Delete phi4:latest from 15 boxes (92 GB)`; only what is not skipped. */
export function describePlan(changes: readonly PlannedChange[]): string {
  const meant = changes.filter(({ skipped }) => skipped === null);
  const { verb = "delete", destination } = meant[0] ?? {};
  const { deed, where } = WORDS[verb];
  if (verb === "forget")
    return `${deed} ${counted(
      meant.map(({ agent }) => agent),
      "boxes",
    )}`;
  const models = counted([...new Set(meant.map(({ model }) => model ?? ""))], "models");
  const boxes = [...new Set(meant.map(({ agent }) => agent))];
  const copy = destination === undefined ? "" : ` to ${destination}`;
  const bytes = verb === "delete" ? meant.reduce((sum, { size }) => sum + (size ?? 0), 0) : 0;
  const size = bytes === 0 ? "" : ` (${formatBytes(bytes)})`;
  const [only] = boxes;
  const place = boxes.length === 1 && only !== undefined ? only : `${boxes.length} boxes`;
  return `${deed} ${models}${copy} ${where} ${place}${size}`;
}

/** One line of `--dry-run`. */
export function describeChange({ verb, model, destination, size, skipped }: PlannedChange): string {
  if (skipped !== null) return skipped;
  const copy = destination === undefined ? "" : ` to ${destination}`;
  const bytes = verb !== "delete" || size === null ? "" : ` (${formatBytes(size)})`;
  if (verb === "forget") return "would remove its state and its inbox";
  return `would ${WORDS[verb].deed.toLowerCase()} ${model}${copy}${bytes}`;
}

function counted(names: readonly string[], what: string): string {
  if (names.length > NAMED) return `${names.length} ${what}`;
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function reasonToSkip(verb: PlannedChange["verb"], view: AgentView, model: string): string | null {
  const { online, state } = view;
  if (!online) return describeView(view);
  const isCut = (list: string): boolean => state?.truncated.includes(list) === true;
  if (verb === "pull" || state === null) return null;
  if (verb === "unload") {
    const isKnown = state.ollama.reachable && !isCut("running");
    return isKnown && !state.running.some(({ name }) => sameModel(name, model)) ? `${model} is not loaded` : null;
  }
  const isKnown = state.models !== null && !isCut("models");
  const isPulled = state.jobs.some((job) => job.ended_at === null && sameModel(job.model, model));
  if (verb === "delete" && isPulled) return null;
  return isKnown && sizeOf(view, model) === null ? `${model} is not installed` : null;
}

function sizeOf({ state }: AgentView, model: string): number | null {
  const found = state?.models?.find(({ name }) => sameModel(name, model));
  if (found === undefined) return null;
  // Ollama runs it on another host: only a stub of it is on this one.
  return found.remote_host === undefined ? found.size : 0;
}
