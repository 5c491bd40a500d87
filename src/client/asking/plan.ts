// What a verb is about to change, from the published states: the base of the question and of --dry-run.
import { formatBytes } from "../../base/format.ts";
import { sameModel } from "../../base/model_name.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView } from "../../courier/describe_view.ts";
import { awayEntry, type Unavailable } from "../../courier/unavailable.ts";
import type { PlannedChange } from "../../documents/planned.ts";
import type { ListName } from "../fleet_courier.ts";
import type { Session } from "../session.ts";

/** Words for a verb: `Delete phi4:latest from 15 boxes`. */
const WORDS = {
  delete: { deed: "Delete", where: "from" },
  pull: { deed: "Pull", where: "on" },
  load: { deed: "Load", where: "on" },
  unload: { deed: "Unload", where: "on" },
  copy: { deed: "Copy", where: "on" },
  cancel: { deed: "Cancel the pull of", where: "on" },
  forget: { deed: "Forget", where: "" },
} as const;

/** More names than this are counted. */
const NAMED = 3;

/** The lists that show what a verb would change. */
const LISTS = {
  delete: ["models", "jobs"],
  pull: ["models", "jobs"],
  load: ["models"],
  unload: ["models", "running"],
  copy: ["models"],
} as const satisfies Readonly<Record<string, readonly ListName[]>>;

export interface Plan {
  /** As far as it is known what each agent has. */
  readonly changes: readonly PlannedChange[];
  /**
   * Those for which a command is sent: also to an agent that does not show the model. It may have it by now, and a person
   * who is asked must know of each box that may be changed.
   */
  readonly sent: readonly PlannedChange[];
  /** The agents that are offline, so that nothing is sent to them. */
  readonly away: readonly Unavailable[];
}

/** The same for each model on each agent. */
export async function planChanges(
  { courier, io }: Session,
  verb: keyof typeof LISTS,
  chosen: readonly AgentView[],
  models: readonly string[],
  destination?: string,
): Promise<Plan> {
  const views = await courier.fill(chosen, LISTS[verb], { signal: io.signal });
  const named = destination === undefined ? {} : { destination };
  const planned = models.flatMap((model) =>
    views.map((view) => {
      const skipped = reasonToSkip(verb, view, model);
      const size = view.online ? sizeOf(view, model) : null;
      return {
        view,
        change: { agent: view.agent, model, verb, ...named, ...present(verb, view, model), size, skipped },
      };
    }),
  );
  return {
    changes: planned.map(({ change }) => change),
    sent: planned.filter(({ view }) => view.online).map(({ change }) => change),
    away: views.filter(({ online }) => !online).map((view) => awayEntry(view)),
  };
}

/** Of changes that are known for sure: what is skipped is not sent. */
export function planOf(changes: readonly PlannedChange[]): Plan {
  return { changes, sent: changes.filter(({ skipped }) => skipped === null), away: [] };
}

/** `Delete phi4:latest from 15 boxes (92 GB)`. @param sent of a plan */
export function describePlan(sent: readonly PlannedChange[]): string {
  const { verb = "delete", destination } = sent[0] ?? {};
  const { deed, where } = WORDS[verb];
  if (verb === "forget")
    return `${deed} ${counted(
      sent.map(({ agent }) => agent),
      "boxes",
    )}`;
  const models = counted([...new Set(sent.map(({ model }) => model ?? ""))], "models");
  const boxes = [...new Set(sent.map(({ agent }) => agent))];
  const copy = destination === undefined ? "" : ` to ${destination}`;
  const [only] = boxes;
  const place = boxes.length === 1 && only !== undefined ? only : `${boxes.length} boxes`;
  return `${deed} ${models}${copy} ${where} ${place}${verb === "delete" ? freedText(sent, boxes.length) : ""}`;
}

/** ` (18.1 GB on 2 of them)` where not each box is known to have one of the models. */
function freedText(sent: readonly PlannedChange[], boxes: number): string {
  const sized = sent.filter(({ size }) => size !== null && size > 0);
  const bytes = sized.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const having = new Set(sized.map(({ agent }) => agent)).size;
  if (bytes === 0) return "";
  return ` (${formatBytes(bytes)}${having === boxes ? "" : ` on ${having} of them`})`;
}

/** One line of `--dry-run`. */
export function describeChange(change: PlannedChange): string {
  const { verb, model, destination, size, skipped } = change;
  if (skipped !== null) return skipped;
  const copy = destination === undefined ? "" : ` to ${destination}`;
  const bytes = size === null ? "" : ` (${formatBytes(size)})`;
  if (verb === "forget") return "would remove its state and its inbox";
  if (verb === "pull") return describePull(change, bytes);
  if (verb !== "delete") return `would ${WORDS[verb].deed.toLowerCase()} ${model}${copy}`;
  if (change.pull_under_way == null) return `would delete ${model}${bytes}`;
  return `would cancel the pull of ${model}${change.installed === true ? ` and delete it${bytes}` : ""}`;
}

/** A pull of what is there asks the registry for a newer one. */
function describePull({ model, installed, pull_under_way: job = null }: PlannedChange, bytes: string): string {
  if (job !== null) return `already pulls ${model}: would join that pull`;
  if (installed === true) return `already has ${model}${bytes}: would look for an update`;
  return `would pull ${model}`;
}

/** What `--dry-run` of a pull or delete compares with. */
function present(
  verb: keyof typeof LISTS,
  { state, online }: AgentView,
  model: string,
): Pick<PlannedChange, "installed" | "pull_under_way"> {
  if (verb !== "pull" && verb !== "delete") return {};
  const isKnown = online && state !== null && state.models !== null;
  const has = state?.models?.some(({ name }) => sameModel(name, model)) === true;
  const job = online ? state?.jobs.find((each) => each.ended_at === null && sameModel(each.model, model)) : undefined;
  const isCut = !has && state?.truncated.includes("models") === true;
  return { installed: isKnown && !isCut ? has : null, pull_under_way: job?.id ?? null };
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
