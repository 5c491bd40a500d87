// Where one box differs from the file, and what keeps gpu-server from changing that now.
import type { AgentView } from "../../../courier/agent_view.ts";
import { describeView } from "../../../courier/describe_view.ts";
import type { DesiredModel } from "../../../program/desired/fleet_file.ts";
import type { BoxPlan, Step } from "../../../program/desired/plan_fleet.ts";
import { isEnded, type Job } from "../../../protocol.ts";
import type { Attempts } from "./attempts.ts";
import type { RegistryAnswers } from "./registry_answers.ts";

export interface Difference {
  readonly agent: string;
  readonly model: string;
  readonly action: "pull" | "update" | "delete";
  /** The pull that is under way. */
  readonly job: string | null;
  /** Why nothing may be sent now; null: it may, unless there is a job. */
  readonly hold: string | null;
}

export interface DifferencesDeps {
  readonly attempts: Pick<Attempts, "see" | "reasonToWait">;
  readonly answers: Pick<RegistryAnswers, "isOutdated" | "reasonAgainst">;
  /** Why nothing is deleted by the state of this box; null: it may be. */
  readonly doubt: (view: AgentView) => string | null;
}

/** Pulls of one box at the same time: those of people need not wait for all that the file names. */
const PULLS_AT_ONCE = 2;

export function differenceKey({ agent, model, action }: Pick<Difference, "agent" | "model" | "action">): string {
  return `${agent} ${action === "delete" ? "-" : "+"}${model.toLowerCase()}`;
}

/** @param wanted the models of the file, by name in lower case */
export function differencesOf(
  view: AgentView,
  { steps }: BoxPlan,
  wanted: ReadonlyMap<string, DesiredModel>,
  deps: DifferencesDeps,
): readonly Difference[] {
  const changes = steps.flatMap((step) => changeOf(view, step, wanted, deps) ?? []);
  const fetched = changes.filter(({ action }) => action !== "delete");
  const active = activeJobs(view);
  let room = PULLS_AT_ONCE - fetched.filter(({ model }) => active.has(model.toLowerCase())).length;
  const pulls = fetched.map((change): Difference => {
    const job = active.get(change.model.toLowerCase());
    if (job !== undefined) return { ...change, job: job.id, hold: null };
    const hold = holdOfPull(view, change, wanted, deps) ?? (room > 0 ? null : "Waits for other pulls on this box");
    if (hold === null) room -= 1;
    return { ...change, job: null, hold };
  });
  const deletions = changes.filter(({ action }) => action === "delete");
  const isBusy = pulls.length > 0 || active.size > 0;
  return [
    ...pulls,
    ...deletions.map((change) => ({ ...change, job: null, hold: holdOfDeletion(view, change, isBusy, deps) })),
  ];
}

type Change = Pick<Difference, "agent" | "model" | "action">;

/** The registry may have replaced a model that is as the file says. One with a digest in the file stays as it is. */
function changeOf(
  { agent, state }: AgentView,
  { action, model }: Step,
  wanted: ReadonlyMap<string, DesiredModel>,
  { answers }: DifferencesDeps,
): Change | undefined {
  if (action !== "unchanged") return { agent, model, action };
  if ((wanted.get(model.toLowerCase())?.digest ?? null) !== null) return undefined;
  const installed = state?.models?.find(({ name }) => name === model);
  const isOutdated = installed !== undefined && answers.isOutdated(installed, state?.clock_offset_ms ?? 0);
  return isOutdated ? { agent, model, action: "update" } : undefined;
}

function activeJobs({ state }: AgentView): ReadonlyMap<string, Job> {
  const active = (state?.jobs ?? []).filter((job) => !isEnded(job));
  return new Map(active.map((job) => [job.model.toLowerCase(), job]));
}

function holdOfPull(
  view: AgentView,
  change: Change,
  wanted: ReadonlyMap<string, DesiredModel>,
  { attempts, answers }: DifferencesDeps,
): string | null {
  const key = differenceKey(change);
  attempts.see(view, key, change.model);
  if (view.reason !== null) return describeView(view);
  const digest = wanted.get(change.model.toLowerCase())?.digest ?? null;
  const against = digest === null ? null : answers.reasonAgainst(change.model, digest);
  return against ?? attempts.reasonToWait(key);
}

/** The last copy of a model in a fleet cannot be brought back from everywhere. */
function holdOfDeletion(
  view: AgentView,
  change: Change,
  isBusy: boolean,
  { attempts, doubt }: DifferencesDeps,
): string | null {
  if (view.reason !== null) return describeView(view);
  const doubted = doubt(view);
  if (doubted !== null) return doubted;
  if (isBusy) return "Waits until nothing is pulled or missing on this box";
  const { running = null, truncated = [] } = view.state ?? {};
  if (running === null || truncated.includes("running") || truncated.includes("jobs"))
    return "Its state does not list all loaded models and jobs";
  const isLoaded = running.some(({ name }) => name.toLowerCase() === change.model.toLowerCase());
  return isLoaded ? "It is loaded" : attempts.reasonToWait(differenceKey(change));
}
