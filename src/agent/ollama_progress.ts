// What a pull's lines add up to. Imports zod.
import { z } from "zod";

/** Bytes over all layers that are known so far. `completedBytes` never goes back; `totalBytes` grows as layers turn up. */
export interface PullProgress {
  readonly phase: "manifest" | "downloading" | "verifying" | "writing";
  readonly completedBytes: number;
  /** Null until the first layer is known. */
  readonly totalBytes: number | null;
}

/** One line of a pull's stream. `total` and `completed` are absent while they are 0. */
export const PullLine = z.object({
  status: z.string(),
  digest: z.string().max(200).optional(),
  total: z.number().nonnegative().optional(),
  completed: z.number().nonnegative().optional(),
});
export type PullLine = z.infer<typeof PullLine>;

interface LayerProgress {
  totalBytes: number;
  /** The most ever said. */
  completedBytes: number;
  /** What was said last: it goes back when Ollama has to fetch a part again. */
  lastBytes: number;
}

/** More layers than any model has: what lies beyond is not counted. */
const MAX_LAYERS = 4096;

export class PullTracker {
  #phase: PullProgress["phase"] = "manifest";
  #status = "";
  readonly #layers = new Map<string, LayerProgress>();

  /** @returns whether the pull came on: a new step, or more bytes than the line before said */
  note(line: PullLine): boolean {
    const stepped = line.status !== this.#status;
    this.#status = line.status;
    this.#phase = phaseOf(line) ?? this.#phase;
    const gained = line.digest !== undefined && this.#noteLayer(line.digest, line);
    // The layers before are whole, whatever their last line said: a blob that ends between two lines sends no more.
    if (line.digest !== undefined || this.#phase !== "downloading") this.#completeAllBut(line.digest);
    return stepped || gained;
  }

  get progress(): PullProgress {
    const layers = [...this.#layers.values()];
    const total = layers.reduce((sum, layer) => sum + layer.totalBytes, 0);
    const completedBytes = layers.reduce((sum, layer) => sum + Math.min(layer.completedBytes, layer.totalBytes), 0);
    return { phase: this.#phase, completedBytes, totalBytes: total === 0 ? null : total };
  }

  #noteLayer(digest: string, { total = 0, completed = 0 }: PullLine): boolean {
    const layer = this.#layers.get(digest) ?? { totalBytes: 0, completedBytes: 0, lastBytes: 0 };
    if (this.#layers.size >= MAX_LAYERS && !this.#layers.has(digest)) return false;
    this.#layers.set(digest, layer);
    const gained = completed > layer.lastBytes || total > layer.totalBytes;
    layer.totalBytes = Math.max(layer.totalBytes, total);
    layer.completedBytes = Math.max(layer.completedBytes, completed);
    layer.lastBytes = completed;
    return gained;
  }

  #completeAllBut(current: string | undefined): void {
    for (const [digest, layer] of this.#layers) if (digest !== current) layer.completedBytes = layer.totalBytes;
  }
}

/** Ollama pulls one layer after the other, then verifies all, then writes; statuses that it may add later change nothing. */
function phaseOf({ status, digest }: PullLine): PullProgress["phase"] | undefined {
  if (digest !== undefined) return "downloading";
  if (status === "pulling manifest") return "manifest";
  if (status.startsWith("verifying")) return "verifying";
  return status === "writing manifest" ? "writing" : undefined;
}
