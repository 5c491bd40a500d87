// The metrics of one box, from its state document: the same from gpu-server and from the box itself.
import {
  type Fetch,
  type Gpu,
  isEnded,
  type Job,
  type Model,
  RETRY_NOTE,
  type RunningModel,
  type State,
  windowOf,
} from "../../protocol.ts";
import { escaped, labelsOf, type MetricsText } from "./text.ts";

/** What a reader of the metrics may see of a box. */
export interface Shown {
  /** A series for each model, and for each pull. */
  readonly eachModel: boolean;
  readonly models: boolean;
  readonly running: boolean;
  readonly jobs: boolean;
}

interface Figures extends Pick<State, "model_count" | "disk" | "processed_commands" | "refused_commands"> {
  /** Null: the clock of the share is unknown. */
  readonly clock_offset_ms: number | null;
  readonly models: readonly Model[] | null;
  readonly running: readonly RunningModel[];
  readonly jobs: readonly Job[];
  /** Into the mirror; missing: this box fetches none. */
  readonly fetches?: readonly Fetch[] | undefined;
  readonly gpus: readonly Gpu[];
}

const STATUSES = ["online", "degraded", "draining", "ollama_down", "share_stale", "silent", "stopped"] as const;
const FETCH_STATES = ["queued", "waiting", "running"] as const;
const JOB_STATES = ["queued", "waiting", "running", "verifying"] as const;

/** Adds what only a running agent knows. The lists of a document may name the same twice: a series is there once. */
export function addFigures(text: MetricsText, agent: string, state: Figures, shown: Shown): void {
  const labels = `agent="${agent}"`;
  if (state.model_count !== null) text.add("gpu_courier_models", labels, state.model_count);
  if (state.clock_offset_ms !== null)
    text.add("gpu_courier_clock_offset_seconds", labels, state.clock_offset_ms / 1000);
  text.add("gpu_courier_commands_processed_total", labels, state.processed_commands);
  text.add("gpu_courier_commands_refused_total", labels, state.refused_commands);
  if (state.disk !== null) {
    text.add("gpu_courier_disk_free_bytes", labels, state.disk.free_bytes);
    text.add("gpu_courier_disk_total_bytes", labels, state.disk.total_bytes);
  }
  addGpus(text, labels, state.gpus);
  if (shown.jobs) addJobs(text, labels, state.jobs, shown.eachModel);
  if (shown.jobs && state.fetches !== undefined) addFetches(text, labels, state.fetches);
  if (shown.eachModel && shown.models) addModels(text, labels, state.models ?? []);
  if (shown.eachModel && shown.running)
    for (const [model, { size_vram }] of oncePer(state.running, ({ name }) => name))
      text.add("gpu_courier_running_vram_bytes", `${labels},model="${model}"`, size_vram);
}

/** Adds a series for each status, of which one is 1. */
export function addStatus(text: MetricsText, agent: string, current: string): void {
  for (const status of STATUSES)
    text.add("gpu_courier_agent_status", `agent="${agent}",status="${status}"`, status === current);
}

/** Adds the releases and the labels of a box. */
export function addAbout(
  text: MetricsText,
  agent: string,
  { agent_version, ollama, labels = {} }: Pick<State, "agent_version" | "ollama" | "labels">,
): void {
  const releases = { agent, version: agent_version, ollama_version: ollama.version ?? "" };
  text.add("gpu_courier_agent_info", labelsOf(releases), 1);
  const named = oncePer(Object.entries(labels), ([key]) => `label_${key.replaceAll(/[^A-Za-z0-9_]/g, "_")}`);
  if (named.size === 0) return;
  const values = Object.fromEntries([...named].map(([name, [, value]]) => [name, value]));
  text.add("gpu_courier_agent_labels", labelsOf({ agent, ...values }), 1);
}

function addGpus(text: MetricsText, labels: string, gpus: readonly Gpu[]): void {
  for (const [gpu, { memory_used_bytes: used, memory_total_bytes: total }] of oncePer(
    gpus,
    ({ index }) => `${index}`,
  )) {
    const ofGpu = `${labels},gpu="${gpu}"`;
    if (used !== null) text.add("gpu_courier_gpu_memory_used_bytes", ofGpu, used);
    if (total !== null) text.add("gpu_courier_gpu_memory_total_bytes", ofGpu, total);
  }
}

function addModels(text: MetricsText, labels: string, models: readonly Model[]): void {
  for (const [model, { digest, size }] of oncePer(models, ({ name }) => name)) {
    text.add("gpu_courier_model_info", `${labels},model="${model}",digest="${escaped(digest)}"`, 1);
    text.add("gpu_courier_model_size_bytes", `${labels},model="${model}"`, size);
  }
}

function addJobs(text: MetricsText, labels: string, jobs: readonly Job[], eachModel: boolean): void {
  const active = jobs.filter((job) => !isEnded(job));
  for (const state of JOB_STATES) {
    const count = active.filter((job) => stateOf(job) === state).length;
    text.add("gpu_courier_jobs", `${labels},state="${state}"`, count);
  }
  if (!eachModel) return;
  for (const [model, job] of oncePer(active, (each) => each.model)) {
    const ofModel = `${labels},model="${model}"`;
    text.add("gpu_courier_job_completed_bytes", ofModel, job.completed_bytes);
    if (job.total_bytes !== null) text.add("gpu_courier_job_total_bytes", ofModel, job.total_bytes);
  }
}

/** One that is queued again after a failure waits. */
function addFetches(text: MetricsText, labels: string, fetches: readonly Fetch[]): void {
  const states = fetches.map(({ state, error }) =>
    state === "queued" && typeof error === "string" ? "waiting" : state,
  );
  for (const state of FETCH_STATES) {
    const count = states.filter((each) => each === state).length;
    text.add("gpu_courier_agent_fetches", `${labels},state="${state}"`, count);
  }
}

/** One that only waits behind another pull, or for its window, is queued: nothing is wrong with it. */
function stateOf(job: Job): string {
  const { state, retry_at = null, waiting_for = null } = job;
  if (windowOf(job) !== null) return state;
  return retry_at !== null || RETRY_NOTE.test(waiting_for ?? "") ? "waiting" : state;
}

/** By what a label shows of them, the first one of each. */
function oncePer<Item>(items: readonly Item[], nameOf: (item: Item) => string): ReadonlyMap<string, Item> {
  const named = new Map<string, Item>();
  for (const item of items) {
    const name = escaped(nameOf(item));
    if (!named.has(name)) named.set(name, item);
  }
  return named;
}
