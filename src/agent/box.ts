// The box itself, as the state shows it: the disk of the models, the GPUs, and the memory.
import type { Clock } from "../base/clock.ts";
import type { Disk, Gpu, Memory } from "../protocol.ts";
import type { ModelsFolder } from "./disk/models_folder.ts";

/** nvidia-smi hangs when the driver does. */
const NVIDIA_SMI_TIMEOUT_MS = 5000;
const GPUS_EVERY_MS = 30_000;
const DISK_EVERY_MS = 2000;
const MEMORY_EVERY_MS = 5000;
const KIB = 1024;
const MIB = 1024 * 1024;
const MAX_GPUS = 64;

export interface BoxDeps {
  readonly models: ModelsFolder;
  /** Notified when the disk can be read, and when it no longer can. */
  readonly changes: { notify(what: "state"): void };
  readonly clock: Clock;
  /** Its path; null on a box without it. */
  readonly nvidiaSmi: string | null;
  /** The path of the kernel's figures of the memory: only Linux has them. */
  readonly meminfo: string;
}

export class Box {
  readonly #deps: BoxDeps;
  #gpus: readonly Gpu[] = [];
  #memory: Memory | null = null;

  constructor(deps: BoxDeps) {
    this.#deps = deps;
  }

  /** Ollama's folder on the box. */
  get models(): ModelsFolder {
    return this.#deps.models;
  }

  /** The disk that holds the models, at most some seconds old; null when their folder cannot be read. */
  get disk(): Disk | null {
    return this.models.disk;
  }

  get gpus(): readonly Gpu[] {
    return this.#gpus;
  }

  /** Null when it cannot be read. */
  get memory(): Memory | null {
    return this.#memory;
  }

  /**
   * Reads the disk every 2 s, the memory every 5 s, and the GPUs every 30 s if there is an nvidia-smi; resolves when the
   * signal aborts.
   */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#watchDisk(signal), this.#watchMemory(signal), this.#watchGpus(signal)]);
  }

  async #watchDisk(signal: AbortSignal): Promise<void> {
    const { models, changes, clock } = this.#deps;
    while (!signal.aborted) {
      const before = this.disk;
      const now = await models.look();
      if ((before === null) !== (now === null)) changes.notify("state");
      await clock.sleep(DISK_EVERY_MS, signal);
    }
  }

  async #watchMemory(signal: AbortSignal): Promise<void> {
    const { meminfo, clock } = this.#deps;
    while (!signal.aborted) {
      this.#memory = await readMemory(meminfo);
      await clock.sleep(MEMORY_EVERY_MS, signal);
    }
  }

  async #watchGpus(signal: AbortSignal): Promise<void> {
    const { nvidiaSmi, clock } = this.#deps;
    if (nvidiaSmi === null) return;
    while (!signal.aborted) {
      const none = clock.sleep(NVIDIA_SMI_TIMEOUT_MS * 2, signal).then(() => []);
      this.#gpus = await Promise.race([readGpus(nvidiaSmi), none]);
      await clock.sleep(GPUS_EVERY_MS, signal);
    }
  }
}

async function readMemory(path: string): Promise<Memory | null> {
  try {
    const text = await Bun.file(path).text();
    const [total, available] = [kibibytes(text, "MemTotal"), kibibytes(text, "MemAvailable")];
    return total === null || available === null ? null : { total_bytes: total, available_bytes: available };
  } catch {
    return null;
  }
}

/** One line of it: `MemTotal:       263856440 kB`, where kB means 1024 bytes. */
function kibibytes(text: string, name: string): number | null {
  const [, figure] = new RegExp(`^${name}: +(\\d{1,15}) kB$`, "m").exec(text) ?? [];
  return figure === undefined ? null : Number(figure) * KIB;
}

/** No GPUs when nvidia-smi fails: the agent works without them. */
async function readGpus(command: string): Promise<readonly Gpu[]> {
  try {
    return await askGpus(command);
  } catch {
    return [];
  }
}

async function askGpus(command: string): Promise<readonly Gpu[]> {
  const query = ["--query-gpu=index,uuid,name,memory.total,memory.used", "--format=csv,noheader,nounits"];
  const child = Bun.spawn([command, ...query], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    timeout: NVIDIA_SMI_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) return [];
  const gpus = text.split("\n").slice(0, MAX_GPUS).map(parseGpu);
  return gpus.filter((gpu) => gpu !== null);
}

/** One line: `0, GPU-1f2e, NVIDIA H200, 143771, 512`; `[N/A]` where the driver does not know. */
function parseGpu(line: string): Gpu | null {
  const [index, uuid, name, total, used] = line.split(",").map((field) => field.trim());
  if (index === undefined || uuid === undefined || name === undefined || !/^\d+$/.test(index)) return null;
  return { index: Number(index), uuid, name, memory_total_bytes: mib(total), memory_used_bytes: mib(used) };
}

function mib(text: string | undefined): number | null {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) * MIB : null;
}
