// A small fleet to look at: boxes of several sites with GPUs, labels, models, jobs in all states, and a few troubles.
import { isoTime } from "#src/base/clock.ts";
import { type Job, type Model, newPull, type State } from "#src/protocol.ts";
import { FleetBox } from "./box.ts";

interface Shape {
  readonly site: string;
  readonly gpu: string;
  readonly gpus: number;
  readonly gpuBytes: number;
  /** Of the GPU memory, and of the disk. */
  readonly used: readonly [gpu: number, disk: number];
  readonly trouble?: "ollama" | "degraded" | "silent" | "stopped";
}

const SHAPES: Readonly<Record<string, Shape>> = {
  "berlin-a1": { site: "berlin", gpu: "NVIDIA H100 80GB HBM3", gpus: 8, gpuBytes: 80e9, used: [0.62, 0.48] },
  "berlin-a2": { site: "berlin", gpu: "NVIDIA H100 80GB HBM3", gpus: 8, gpuBytes: 80e9, used: [0.91, 0.71] },
  "berlin-b1": { site: "berlin", gpu: "NVIDIA L40S", gpus: 4, gpuBytes: 48e9, used: [0.33, 0.36] },
  "berlin-b2": { site: "berlin", gpu: "NVIDIA L40S", gpus: 4, gpuBytes: 48e9, used: [0.05, 0.94] },
  "lyon-1": { site: "lyon", gpu: "NVIDIA A100 80GB PCIe", gpus: 2, gpuBytes: 80e9, used: [0.44, 0.55] },
  "lyon-2": { site: "lyon", gpu: "NVIDIA A100 80GB PCIe", gpus: 2, gpuBytes: 80e9, used: [0, 0.57], trouble: "ollama" },
  "lyon-3": { site: "lyon", gpu: "NVIDIA RTX A6000", gpus: 2, gpuBytes: 48e9, used: [0.71, 0.62], trouble: "silent" },
  "oslo-1": { site: "oslo", gpu: "NVIDIA H200", gpus: 4, gpuBytes: 141e9, used: [0.52, 0.29] },
  "oslo-2": { site: "oslo", gpu: "NVIDIA H200", gpus: 4, gpuBytes: 141e9, used: [0.18, 0.83], trouble: "degraded" },
  "oslo-3": { site: "oslo", gpu: "NVIDIA RTX 6000 Ada", gpus: 1, gpuBytes: 48e9, used: [0.4, 0.4], trouble: "stopped" },
  "turin-1": { site: "turin", gpu: "NVIDIA RTX 4090", gpus: 1, gpuBytes: 24e9, used: [0.83, 0.66] },
  "turin-2": { site: "turin", gpu: "NVIDIA RTX 4090", gpus: 1, gpuBytes: 24e9, used: [0.12, 0.18] },
};
const DISK_BYTES = 3.84e12;
const MINUTE_MS = 60_000;

/** The boxes as they are `sinceMs` after the beginning; those that are silent publish only once. */
export class ShownFleet {
  readonly #startMs: number;
  readonly #states: ReadonlyMap<string, State>;

  constructor(startMs: number) {
    this.#startMs = startMs;
    const entries = Object.entries(SHAPES).map(([name, shape], index) => {
      return [name, stateOf(name, shape, index, startMs)] as const;
    });
    this.#states = new Map(entries);
  }

  /** Those that publish now. The same objects each time. */
  next(nowMs: number): readonly State[] {
    const isFirst = nowMs === this.#startMs;
    const states = [...this.#states].filter(([name]) => isFirst || SHAPES[name]?.trouble !== "silent");
    for (const [, state] of states) {
      state.sequence += 1;
      state.timestamp = isoTime(nowMs);
      for (const job of state.jobs) if (job.state === "running") progress(job, nowMs - this.#startMs);
    }
    return states.map(([, state]) => state);
  }
}

function stateOf(name: string, shape: Shape, index: number, nowMs: number): State {
  const { site, gpu, gpus, gpuBytes, used, trouble } = shape;
  const state = structuredClone(new FleetBox((index % 5) * 3 + 1, nowMs).next(nowMs));
  const jobs = jobsOf(name, nowMs);
  return {
    ...state,
    agent: name,
    host: `${name}.example`,
    labels: { site, tier: gpuBytes > 60e9 ? "large" : "small" },
    platform: { os: "linux", arch: "x64" },
    memory: { total_bytes: 512e9, available_bytes: 512e9 * (1 - used[0] / 2) },
    disk: { path: "/srv/ollama/models", total_bytes: DISK_BYTES, free_bytes: DISK_BYTES * (1 - used[1]) },
    gpus: Array.from({ length: gpus }, (_, at) => {
      const share = Math.max(0, Math.min(1, used[0] + ((at % 3) - 1) * 0.06));
      const memory = { memory_total_bytes: gpuBytes, memory_used_bytes: gpuBytes * (used[0] === 0 ? 0 : share) };
      return { index: at, uuid: `GPU-${name}-${at}`, name: gpu, ...memory };
    }),
    models: (state.models ?? []).map((model) => ({ ...model, details: detailsOf(model.name) })),
    running: used[0] === 0 ? [] : state.running.map((model) => ({ ...model, ...loadedUntil(nowMs) })),
    jobs,
    job_count: jobs.length,
    ...troubleOf(trouble),
  };
}

function detailsOf(name: string): Model["details"] {
  const [family = "", tag = ""] = name.split(":");
  const [billions = ""] = /^\d+b/.exec(tag) ?? ["8b"];
  return { family, parameter_size: billions.toUpperCase(), quantization_level: tag.includes("q8") ? "Q8_0" : "Q4_K_M" };
}

function loadedUntil(nowMs: number): Pick<State["running"][number], "expires_at" | "context_length"> {
  return { expires_at: isoTime(nowMs + 26 * MINUTE_MS), context_length: 16_384 };
}

function troubleOf(trouble: Shape["trouble"]): Partial<State> {
  const error = "connect ECONNREFUSED 127.0.0.1:11434";
  if (trouble === "ollama")
    return {
      ollama_available: false,
      ollama: { reachable: false, version: "0.32.15", error, checked_at: isoTime(Date.now()) },
    };
  if (trouble === "degraded")
    return { status: "degraded", reading_only: true, degraded_reason: "The state directory is on a full disk" };
  return trouble === "stopped" ? { status: "stopped" } : {};
}

const PULLS: Readonly<Record<string, readonly (readonly [model: string, gigabytes: number, done: number])[]>> = {
  "berlin-a1": [["llama3.3:70b", 42.5, 0.38]],
  "berlin-b1": [["qwen3:32b", 20.2, 0.71]],
  "oslo-1": [["deepseek-r1:70b", 42.5, 0.12]],
};

const ENDED: Readonly<Record<string, readonly (readonly [model: string, result: Job["state"], minutes: number])[]>> = {
  "berlin-a2": [["gemma3:27b", "succeeded", 14]],
  "berlin-b2": [["llama3.3:70b", "failed", 32]],
  "lyon-1": [["phi4:14b", "succeeded", 48]],
  "oslo-1": [["qwen3:32b", "succeeded", 95]],
  "turin-1": [["mistral-small:24b", "cancelled", 170]],
  "turin-2": [["phi4:14b", "succeeded", 300]],
  "berlin-a1": [["nomic-embed-text:latest", "succeeded", 410]],
};

const ASKING = ["platform", "mara", "nightly"] as const;

function jobsOf(name: string, nowMs: number): Job[] {
  const active = (PULLS[name] ?? []).map(([model, gigabytes, done]): Job => {
    const startMs = nowMs - 6 * MINUTE_MS;
    const total = gigabytes * 1e9;
    return {
      ...common(name, model, startMs),
      state: "running",
      phase: "downloading",
      total_bytes: total,
      completed_bytes: Math.round(total * done),
      bytes_per_second: Math.round((total * done) / 360),
      eta_seconds: Math.round((360 / done) * (1 - done)),
    };
  });
  const ended = (ENDED[name] ?? []).map(([model, state, minutes]): Job => {
    const endMs = nowMs - minutes * MINUTE_MS;
    const isDone = state === "succeeded";
    return {
      ...common(name, model, endMs - 3.4 * MINUTE_MS),
      state,
      total_bytes: 17e9,
      completed_bytes: isDone ? 17e9 : 6.1e9,
      ended_at: isoTime(endMs),
      code: state === "failed" ? "exhausted" : state === "cancelled" ? "cancelled" : null,
      error: state === "failed" ? "Not enough disk: 42.5 GB needed, 11.2 GB free after the reserve" : null,
    };
  });
  const queued = name === "berlin-a1" ? [{ ...common(name, "qwen3:235b", nowMs), state: "queued" as const }] : [];
  return [...ended, ...active, ...queued];
}

function common(name: string, model: string, startMs: number): Job {
  const who = ASKING[(name.length + model.length) % ASKING.length] ?? null;
  const times = { created_at: isoTime(startMs), started_at: isoTime(startMs) };
  return { ...newPull(Bun.randomUUIDv7("hex", startMs), name, model), ...times, requested_by: who };
}

/** With a speed that is not the same all the time. */
function progress(job: Job, sinceMs: number): void {
  const total = job.total_bytes ?? 0;
  const speed = 60e6 + 25e6 * Math.sin(sinceMs / 1900 + total);
  job.completed_bytes = Math.min(total, Math.round(job.completed_bytes + speed * 1.0));
  job.bytes_per_second = Math.round(speed);
  job.eta_seconds = Math.round((total - job.completed_bytes) / speed);
}
