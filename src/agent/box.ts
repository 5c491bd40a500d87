// What the state tells about the box itself: the disk of the models, and the GPUs. Imports protocol; node:fs to ask.
import { existsSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import type { Disk, Gpu } from "../protocol.ts";

/** A wedged driver hangs nvidia-smi. */
const NVIDIA_SMI_TIMEOUT_MS = 5000;
const INTERVAL_MS = 30_000;
const MIB = 1024 * 1024;
const MAX_GPUS = 64;

export class Box {
  readonly #modelsDir: string | undefined;
  readonly #nvidiaSmi: string | null;
  #gpus: readonly Gpu[] = [];

  /**
   * @param modelsDir where Ollama keeps its models; undefined: where its installer puts them, if one of these is there
   * @param nvidiaSmi null: the box has none
   */
  constructor(modelsDir: string | undefined, nvidiaSmi: string | null = Bun.which("nvidia-smi")) {
    this.#modelsDir = modelsDir;
    this.#nvidiaSmi = nvidiaSmi;
  }

  /** Where Ollama keeps its models; undefined: not known. */
  get modelsDir(): string | undefined {
    const usual = ["/usr/share/ollama/.ollama/models", join(homedir(), ".ollama", "models")];
    return this.#modelsDir ?? usual.find((path) => existsSync(path));
  }

  /** The disk that holds the models; null when their folder cannot be looked at. */
  get disk(): Disk | null {
    const dir = this.modelsDir;
    if (dir === undefined) return null;
    try {
      // The blobs may lie on a disk of their own.
      const blobs = join(dir, "blobs");
      const { bavail, blocks, bsize } = statfsSync(existsSync(blobs) ? blobs : dir);
      return { path: dir, free_bytes: bavail * bsize, total_bytes: blocks * bsize };
    } catch {
      // Not there yet, or closed to this user: null says so.
      return null;
    }
  }

  get gpus(): readonly Gpu[] {
    return this.#gpus;
  }

  /** Looks for GPUs every 30 s where there is an nvidia-smi; resolves when the signal aborts. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    const command = this.#nvidiaSmi;
    if (command === null) return;
    while (!signal.aborted) {
      this.#gpus = await Promise.race([
        readGpus(command),
        clock.sleep(NVIDIA_SMI_TIMEOUT_MS * 2, signal).then(() => []),
      ]);
      await clock.sleep(INTERVAL_MS, signal);
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
