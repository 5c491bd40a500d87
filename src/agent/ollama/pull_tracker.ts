// Adds up the lines of a pull's stream.
import { z } from "zod";

/** Bytes over all layers that are known so far. `completedBytes` never goes back; `totalBytes` grows as layers turn up. */
export interface PullProgress {
  readonly phase: "manifest" | "downloading" | "verifying" | "writing";
  readonly completedBytes: number;
  /** Null until the first layer is known. */
  readonly totalBytes: number | null;
  /** Bytes that arrived, counted twice when fetched twice, without those that were there before: the speed is based on them. */
  readonly receivedBytes: number;
}

/** One line of a pull's stream. `total` and `completed` are absent while they are 0. */
export const PullLine = z.object({
  status: z.string(),
  digest: z.string().max(200).optional(),
  total: z.number().nonnegative().optional(),
  completed: z.number().nonnegative().optional(),
});
export type PullLine = z.infer<typeof PullLine>;

/** A layer as the agent saved it: enough to go on counting after a restart. */
export const NotedLayer = z.object({
  digest: z.string(),
  total_bytes: z.number().nonnegative(),
  completed_bytes: z.number().nonnegative(),
  /** This pull fetched some of it: its bytes on disk belong to this pull. */
  fetched: z.boolean(),
  /** It was whole when a later attempt saw it first: one before may have fetched it without a word of it. */
  doubtful: z.boolean().default(false),
});
export type NotedLayer = z.infer<typeof NotedLayer>;

interface LayerProgress {
  totalBytes: number;
  /** The highest value so far. */
  completedBytes: number;
  /** The latest value: it goes back when Ollama has to fetch a part again. */
  lastBytes: number;
  /** The first value in this attempt: earlier attempts fetched that much. Null: not in this attempt. */
  foundBytes: number | null;
  fetched: boolean;
  doubtful: boolean;
}

/** More layers than any model has: further ones are not counted. */
const MAX_LAYERS = 4096;

/** Adds up the lines of one pull, over all attempts at it. */
export class PullTracker {
  #phase: PullProgress["phase"] = "manifest";
  #status = "";
  #receivedBytes = 0;
  #current: LayerProgress | undefined;
  readonly #layers = new Map<string, LayerProgress>();
  #attempts = 0;

  /**
   * @param noted what an earlier process saved of this pull
   * @param hasBegun whether an earlier process began an attempt at it
   */
  constructor(noted: readonly NotedLayer[] = [], hasBegun = noted.length > 0) {
    if (hasBegun) this.#attempts = 1;
    for (const { digest, total_bytes, completed_bytes, fetched, doubtful } of noted.slice(0, MAX_LAYERS)) {
      const bytes = { totalBytes: total_bytes, completedBytes: completed_bytes, lastBytes: completed_bytes };
      this.#layers.set(digest, { ...bytes, foundBytes: null, fetched, doubtful });
    }
  }

  /** An attempt begins: Ollama reports every layer again, including those that are already there. */
  begin(): void {
    this.#attempts += 1;
    this.#phase = "manifest";
    this.#status = "";
    this.#current = undefined;
    for (const layer of this.#layers.values()) layer.foundBytes = null;
  }

  /** @returns whether the pull advanced: a new step, or more bytes than in the line before */
  note(line: PullLine): boolean {
    const stepped = line.status !== this.#status;
    this.#status = line.status;
    this.#phase = phaseOf(line) ?? this.#phase;
    const gained = line.digest !== undefined && this.#noteLayer(line.digest, line);
    if (this.#phase === "verifying") this.#forgetOthers();
    // Earlier layers are whole, whatever their last line says: a blob that ends between two lines sends no more.
    if (line.digest !== undefined || this.#phase !== "downloading") this.#completeAllBut(line.digest);
    return stepped || gained;
  }

  get progress(): PullProgress {
    const layers = [...this.#layers.values()];
    const total = layers.reduce((sum, layer) => sum + layer.totalBytes, 0);
    const completedBytes = layers.reduce((sum, layer) => sum + Math.min(layer.completedBytes, layer.totalBytes), 0);
    const totalBytes = total === 0 ? null : total;
    return { phase: this.#phase, completedBytes, totalBytes, receivedBytes: this.#receivedBytes };
  }

  /**
   * What would be lost if Ollama were killed now, and what its layer still lacks: Ollama saves how far a layer is when the
   * connection closes, not before. Nothing also when this attempt has whole layers that Ollama must verify: it verifies
   * only what the last attempt fetched.
   */
  get unsaved(): { readonly bytes: number; readonly leftBytes: number } {
    const others = [...this.#layers.values()].filter((layer) => layer !== this.#current);
    if (this.#current === undefined || others.some(isUnverified)) return { bytes: 0, leftBytes: 0 };
    const { lastBytes, foundBytes, totalBytes } = this.#current;
    return { bytes: Math.max(0, lastBytes - (foundBytes ?? lastBytes)), leftBytes: totalBytes - lastBytes };
  }

  /**
   * Layers that this pull fetched, or may have fetched, and whose end Ollama did not see in the last attempt: it found them
   * whole, and takes them for verified.
   */
  get unverified(): string[] {
    const found = [...this.#layers].filter(([, { fetched, doubtful, foundBytes, totalBytes }]) => {
      return (fetched || doubtful) && foundBytes !== null && foundBytes >= totalBytes;
    });
    return found.map(([digest]) => digest);
  }

  /** What to save for the next process. */
  get layers(): NotedLayer[] {
    return [...this.#layers].map(([digest, { totalBytes, completedBytes, fetched, doubtful }]) => {
      return { digest, total_bytes: totalBytes, completed_bytes: completedBytes, fetched, doubtful };
    });
  }

  #noteLayer(digest: string, { total = 0, completed = 0 }: PullLine): boolean {
    const known = this.#layers.get(digest);
    if (known === undefined && this.#layers.size >= MAX_LAYERS) return false;
    const layer = known ?? newLayer(this.#attempts > 1);
    this.#layers.set(digest, layer);
    this.#current = layer;
    const before = layer.foundBytes === null ? 0 : layer.lastBytes;
    const gained = completed > before || total > layer.totalBytes;
    // The first line may count bytes that were there before and some that just arrived, without a difference.
    if (layer.foundBytes === null) layer.foundBytes = completed;
    else this.#receivedBytes += Math.max(0, completed - layer.lastBytes);
    layer.totalBytes = Math.max(layer.totalBytes, total);
    layer.completedBytes = Math.max(layer.completedBytes, completed);
    layer.lastBytes = completed;
    layer.fetched ||= completed < total;
    // `fetched` has the same effect.
    if (layer.fetched) layer.doubtful = false;
    return gained;
  }

  /** The registry may have given another manifest than to an earlier attempt. */
  #forgetOthers(): void {
    for (const [digest, layer] of this.#layers) if (layer.foundBytes === null) this.#layers.delete(digest);
  }

  #completeAllBut(current: string | undefined): void {
    for (const [digest, layer] of this.#layers) {
      if (digest === current || layer.foundBytes === null) continue;
      layer.completedBytes = layer.totalBytes;
      layer.lastBytes = layer.totalBytes;
    }
  }
}

function newLayer(doubtful: boolean): LayerProgress {
  return { totalBytes: 0, completedBytes: 0, lastBytes: 0, foundBytes: null, fetched: false, doubtful };
}

/** Fetched by this attempt to its end: there was less of it when the attempt began. */
function isUnverified({ foundBytes, totalBytes }: LayerProgress): boolean {
  return foundBytes !== null && foundBytes < totalBytes;
}

/** Ollama pulls one layer after the other, then verifies all, then writes; statuses that it may add later change nothing. */
function phaseOf({ status, digest }: PullLine): PullProgress["phase"] | undefined {
  if (digest !== undefined) return "downloading";
  if (status === "pulling manifest") return "manifest";
  if (status.startsWith("verifying")) return "verifying";
  return status === "writing manifest" ? "writing" : undefined;
}
