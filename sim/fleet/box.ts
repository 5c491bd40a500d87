// A simulated GPU machine of a large fleet: only its state document, from one renewal to the next.
import { isoTime } from "#src/base/clock.ts";
import { isEnded, type Job, LIMITS, type Model, newPull, type RunningModel, type State } from "#src/protocol.ts";
import { CATALOG, type CatalogModel } from "./catalog.ts";

const MODELS = 6;
/** Has no common factor with the size of the catalog, so that a box never has a model twice. */
const STRIDE = 33;
/** On every twentieth renewal a model or a job changes; on the others only times, free bytes and progress do. */
const CHANGES_EVERY = 20;
const PULLING_EVERY = 10;
const HOUR_MS = 3_600_000;
const DISK_BYTES = 1_967_317_549_056;
const DISK_STEP_BYTES = 262_144;
const GPU_BYTES = 85_899_345_920;
const BYTES_PER_SECOND = 40_000_000;

export class FleetBox {
  readonly agent: string;
  readonly #index: number;
  readonly #state: State;
  /** The models so far, those that went included. */
  #models = 0;
  /** The documents of `work()`. */
  #worked = 0;

  /** @param index two boxes with the same index are alike */
  constructor(index: number, nowMs: number) {
    this.agent = `box-${index}`;
    this.#index = index;
    this.#state = emptyState(this.agent, nowMs);
    while (this.#models < MODELS) this.#addModel(nowMs - (index % 97) * HOUR_MS);
    if (index % PULLING_EVERY !== 0) return;
    if (index % (2 * PULLING_EVERY) === 0) {
      this.#startPull(nowMs - HOUR_MS);
      this.#endPull(nowMs - HOUR_MS / 2);
    }
    this.#startPull(nowMs);
  }

  get isPulling(): boolean {
    return this.#state.jobs.some((job) => !isEnded(job));
  }

  /**
   * As `next()`, between two renewals: only the pull goes on, and a finished one is followed by the next model.
   * @param elapsedMs since the last document
   */
  work(nowMs: number, elapsedMs: number): State {
    this.#worked += 1;
    this.#stamp(nowMs);
    const active = this.#state.jobs.find((job) => !isEnded(job));
    if (active !== undefined && active.completed_bytes < (active.total_bytes ?? 0)) progress(active, elapsedMs);
    else {
      this.#endPull(nowMs);
      this.#startPull(nowMs);
    }
    return this.#state;
  }

  /** The next document of the sequence. The same object each time. */
  next(nowMs: number): State {
    const state = this.#stamp(nowMs);
    const turn = this.#index + state.sequence - this.#worked;
    if (state.disk !== null) state.disk.free_bytes += ((turn % 5) - 2) * DISK_STEP_BYTES;
    const active = state.jobs.find((job) => !isEnded(job));
    if (active !== undefined) progress(active);
    if (turn % CHANGES_EVERY === 0) this.#change(nowMs, active);
    return state;
  }

  #stamp(nowMs: number): State {
    const state = this.#state;
    state.sequence += 1;
    state.timestamp = isoTime(nowMs);
    state.ollama.checked_at = state.timestamp;
    return state;
  }

  #change(nowMs: number, active: Job | undefined): void {
    if (active !== undefined) this.#endPull(nowMs);
    else if (this.#index % PULLING_EVERY === 0) this.#startPull(nowMs);
    else if ((this.#state.models?.length ?? 0) < MODELS) this.#addModel(nowMs);
    else this.#removeModel();
  }

  /** The catalog's next one for this box. */
  #nextModel(): CatalogModel {
    const model = CATALOG[(this.#index * 7 + this.#models * STRIDE) % CATALOG.length];
    if (model === undefined) throw new Error("The catalog is empty");
    return model;
  }

  #addModel(nowMs: number): void {
    const { models } = this.#state;
    const model = { ...this.#nextModel(), modified_at: isoTime(nowMs + this.#models * 1000) };
    this.#models += 1;
    models?.unshift(model);
    this.#state.running = [loaded(model, nowMs)];
    this.#state.model_count = models?.length ?? null;
  }

  /** The one that was there first. */
  #removeModel(): void {
    this.#state.models?.pop();
    this.#state.model_count = this.#state.models?.length ?? null;
  }

  #startPull(nowMs: number): void {
    const { name, size } = this.#nextModel();
    const job: Job = {
      ...newPull(Bun.randomUUIDv7("hex", nowMs), this.agent, name),
      state: "running",
      phase: "downloading",
      total_bytes: size,
      started_at: isoTime(nowMs),
    };
    progress(job);
    this.#state.jobs = [...this.#state.jobs.slice(-1), job];
    this.#state.job_count = this.#state.jobs.length;
  }

  #endPull(nowMs: number): void {
    const active = this.#state.jobs.find((job) => !isEnded(job));
    if (active === undefined) return;
    const ended = { state: "succeeded", phase: null, eta_seconds: null, ended_at: isoTime(nowMs) } as const;
    Object.assign(active, ended, { completed_bytes: active.total_bytes });
    this.#addModel(nowMs);
    if ((this.#state.models?.length ?? 0) > MODELS) this.#removeModel();
  }
}

function progress(job: Job, elapsedMs: number = LIMITS.stateIntervalMs): void {
  const total = job.total_bytes ?? 0;
  job.bytes_per_second = BYTES_PER_SECOND;
  job.completed_bytes = Math.min(job.completed_bytes + (BYTES_PER_SECOND * elapsedMs) / 1000, total);
  job.eta_seconds = (total - job.completed_bytes) / BYTES_PER_SECOND;
}

function loaded({ name, size }: Model, nowMs: number): RunningModel {
  return { name, size, size_vram: size, expires_at: isoTime(nowMs + HOUR_MS) };
}

function emptyState(agent: string, nowMs: number): State {
  return {
    timestamp: isoTime(nowMs),
    version: 2,
    agent,
    instance: Bun.randomUUIDv7(),
    host: `${agent}.example`,
    started_at: isoTime(nowMs),
    sequence: 0,
    clock_offset_ms: 3,
    status: "running",
    degraded_reason: null,
    agent_version: "0.1.0",
    processed_commands: 41,
    refused_commands: 0,
    commands: [],
    ollama_available: true,
    ollama: { reachable: true, version: "0.32.15", error: null, checked_at: null },
    models: [],
    running: [],
    jobs: [],
    shared_inbox: "off",
    serves_shared_inbox: false,
    disk: { path: "/usr/share/ollama/.ollama/models", free_bytes: DISK_BYTES / 4, total_bytes: DISK_BYTES },
    gpus: [
      {
        index: 0,
        uuid: `GPU-${Bun.randomUUIDv7()}`,
        name: "NVIDIA H100 80GB HBM3",
        memory_total_bytes: GPU_BYTES,
        memory_used_bytes: GPU_BYTES / 8,
      },
    ],
    model_count: 0,
    job_count: 0,
    truncated: [],
  };
}
