// Pulls as jobs beside an Ollama that really fetches from a registry that misbehaves: simulated, or real when
// OLLAMA_TEST_URL names one that may read OLLAMA_TEST_MODELS.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { Registry } from "#sim/registry/registry.ts";
import { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { PulledBlobs } from "#src/agent/disk/pulled_blobs.ts";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { Ollama } from "#src/agent/ollama/ollama.ts";
import { Jobs } from "#src/agent/pulls/jobs.ts";
import { PullWindows } from "#src/agent/pulls/limits/pull_windows.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { isEnded, type Job } from "#src/protocol.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";
import { until } from "#tests/support/until.ts";

/** An Ollama to hold the jobs against. */
export interface Subject {
  readonly url: string;
  readonly modelsDir: string;
  readonly clock: Clock;
  /** How long a pull may make no progress; and how long a test may take. */
  readonly stallMs: number;
  readonly limitMs: number;
  /** All bytes that it took of layers, those that it took twice counted twice; null: unknown. */
  readonly takenBytes: () => number | null;
  /** How much more than needed `fetchedBytes()` may be, as a share. */
  readonly excess: number;
  close(): Promise<void>;
}

export async function simulatedSubject(): Promise<Subject> {
  const modelsDir = mkdtempSync(join(tmpdir(), "models-"));
  const timing = { retryMs: 20, stallMs: 3000, locateMs: 500 };
  const simulation = await startSimulatedOllama({ catalog: [], modelsDir, timing, progressIntervalMs: 20 });
  const close = async (): Promise<void> => {
    await simulation.stop();
    rmSync(modelsDir, { recursive: true, force: true });
  };
  const counting = { takenBytes: () => simulation.downloads.fetchedBytes, excess: 0.001 };
  return { url: simulation.url, modelsDir, clock: hurriedClock(4), stallMs: 1000, limitMs: 15_000, ...counting, close };
}

export async function realSubject(url: string): Promise<Subject> {
  const modelsDir = process.env["OLLAMA_TEST_MODELS"] ?? "";
  const close = async (): Promise<void> => await Promise.resolve();
  const counting = { takenBytes: () => null, excess: 0.1 };
  const timing = { clock: systemClock, stallMs: 10_000, limitMs: 240_000 };
  return await Promise.resolve({ url, modelsDir, ...timing, ...counting, close });
}

type Around = (ollama: Ollama) => Pick<Ollama, "pullModel" | "deleteModel">;

export class PullSite {
  readonly subject: Subject;
  readonly registry: Registry;
  readonly ollama: Ollama;
  jobs: Jobs;
  /** Every note that a job showed. */
  readonly notes = new Set<string>();
  /** Every job's completed bytes and total, as they were shown one after the other. */
  readonly shown: Job[] = [];
  readonly #pulls: ReturnType<Around>;
  readonly #stateDir = memoryDir("agent-state-");
  #ledger: Ledger;

  private constructor(subject: Subject, registry: Registry, around: Around) {
    this.subject = subject;
    this.registry = registry;
    const { url, stallMs } = subject;
    this.ollama = new Ollama({ url, stallMs, insecureRegistries: [registry.host] });
    this.#pulls = around(this.ollama);
    this.#ledger = new Ledger(this.#stateDir);
    this.jobs = this.#openJobs();
  }

  /** @param around what the jobs have in place of Ollama */
  static async open(subject: Subject, around: Around = (ollama) => ollama): Promise<PullSite> {
    return new PullSite(subject, await Registry.start(), around);
  }

  /** As an agent that ends. */
  async stop(): Promise<void> {
    await this.jobs.close(this.subject.limitMs);
  }

  /** As a new process of the agent would: from what the ledger holds. Call `jobs.start()` for it to begin. */
  reopen(): void {
    this.#ledger.close();
    this.#ledger = new Ledger(this.#stateDir);
    this.jobs = this.#openJobs();
  }

  job(id: string | null): Job {
    const found = this.jobs.history().find((job) => job.id === id);
    if (found === undefined) throw new Error(`No job ${id}`);
    return found;
  }

  async ended({ id }: Job): Promise<Job> {
    await until(() => isEnded(this.job(id)), this.subject.limitMs);
    return this.job(id);
  }

  async reaches(job: Job, bytes: number): Promise<void> {
    await until(() => this.job(job.id).completed_bytes >= bytes, this.subject.limitMs);
  }

  /**
   * Bytes that Ollama fetched of a model. Where that is unknown: what the registry sent, with what was on its way whenever
   * a connection closed, which is more the busier the machine is.
   */
  fetchedBytes(model: string): number {
    return this.subject.takenBytes() ?? this.registry.served(model).bytes;
  }

  async close(): Promise<void> {
    await this.stop();
    this.#ledger.close();
    await this.registry.stop();
    await this.subject.close();
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  #openJobs(): Jobs {
    const { clock, modelsDir } = this.subject;
    const listing = { models: null, listModels: async () => await this.ollama.listModels() };
    const models = new ModelsFolder({ modelsDir, listing, clock, log: silentLog });
    const jobs = new Jobs({
      agent: "gpu-1",
      ollama: this.#pulls,
      ledger: this.#ledger,
      blobs: new PulledBlobs(models, clock),
      models,
      clock,
      log: silentLog,
      maxPulls: 1,
      windows: new PullWindows([]),
      limits: { pullTimeoutMs: 3_600_000, registryTimeoutMs: 3_600_000, saveIntervalMs: 300_000 },
      hostNames: { isMissing: async () => await Promise.resolve(false) },
      changes: { notify: () => this.#look() },
      registries: { requireAllowed: () => undefined },
      preflight: { check: async () => await Promise.resolve({ totalBytes: null, note: null }) },
      monitor: { refresh: async () => await Promise.resolve(), models: null },
    });
    return jobs;
  }

  #look(): void {
    for (const job of this.jobs.history()) {
      if (typeof job.note === "string") this.notes.add(job.note);
      if (!this.shown.includes(job)) this.shown.push(job);
    }
  }
}
