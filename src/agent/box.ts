// What the state tells about the box itself: the disk of the models, and the GPUs. Imports the models' folder, protocol.
import type { Clock } from "../base/clock.ts";
import type { Disk, Gpu } from "../protocol.ts";
import type { ModelsFolder } from "./disk/models_folder.ts";

/** A wedged driver hangs nvidia-smi. */
const NVIDIA_SMI_TIMEOUT_MS = 5000;
const GPUS_EVERY_MS = 30_000;
const DISK_EVERY_MS = 2000;
const MIB = 1024 * 1024;
const MAX_GPUS = 64;

export class Box {
  readonly models: ModelsFolder;
  readonly #nvidiaSmi: string | null;
  #gpus: readonly Gpu[] = [];

  /**
   * @param nvidiaSmi null: the box has none
   */
  constructor(models: ModelsFolder, nvidiaSmi: string | null = Bun.which("nvidia-smi")) {
    this.models = models;
    this.#nvidiaSmi = nvidiaSmi;
  }

  /** The disk that holds the models, as it was at most some seconds ago; null when their folder is unknown. */
  get disk(): Disk | null {
    return this.models.disk;
  }

  get gpus(): readonly Gpu[] {
    return this.#gpus;
  }

  /**
   * Looks at the disk every 2 s, and for GPUs every 30 s where there is an nvidia-smi; resolves when the signal aborts.
   * @param changed called when the disk can be looked at, and when it no longer can
   */
  async run(clock: Clock, changed: () => void, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#watchDisk(clock, changed, signal), this.#watchGpus(clock, signal)]);
  }

  async #watchDisk(clock: Clock, changed: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = this.disk;
      const now = await this.models.look();
      if ((before === null) !== (now === null)) changed();
      await clock.sleep(DISK_EVERY_MS, signal);
    }
  }

  async #watchGpus(clock: Clock, signal: AbortSignal): Promise<void> {
    const command = this.#nvidiaSmi;
    if (command === null) return;
    while (!signal.aborted) {
      this.#gpus = await Promise.race([
        readGpus(command),
        clock.sleep(NVIDIA_SMI_TIMEOUT_MS * 2, signal).then(() => []),
      ]);
      await clock.sleep(GPUS_EVERY_MS, signal);
    }
  }
}

/** None when it cannot be asked: an agent does its work without. */
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
