// A job as the lines that Ollama sends during a pull.
import type { Job } from "../../protocol.ts";

/** A line of the stream: `digest`, `total` and `completed` only while bytes arrive. */
export interface PullLine {
  readonly status?: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
  readonly error?: string;
}

/** Clients look for these words of Ollama's, and then try other names. */
const UNKNOWN_MODEL = "pull model manifest: file does not exist";

/**
 * Clients draw one bar for each digest, and take its total from its first line. A job knows all bytes together and may
 * learn late how many there are, so it has one digest, and its bytes are shown as a part of the first total.
 */
export class PullLines {
  readonly #digest: string;
  #total: number | null = null;
  #completed = 1;
  #last: PullLine = { status: "pulling manifest" };
  #isVerifying = false;

  constructor({ id, model }: Pick<Job, "id" | "model">) {
    this.#digest = new Bun.CryptoHasher("sha256").update(id ?? model).digest("hex");
  }

  /** What shows that the pull goes on: the last line again. */
  get again(): PullLine {
    return this.#last;
  }

  /** The lines that a change of the job adds; none if it shows nothing new. */
  next(job: Job): readonly PullLine[] {
    if (job.state === "succeeded") return [...this.#full(job), ...this.#verifying(), ...DONE];
    if (job.state === "failed" || job.state === "cancelled") return [{ error: pullError(job) }];
    if (job.phase === "verifying" || job.phase === "writing") return [...this.#full(job), ...this.#verifying()];
    const line = this.#progress(job);
    if (line === undefined || this.#isVerifying || Bun.deepEquals(line, this.#last)) return [];
    this.#last = line;
    return [line];
  }

  #progress({ total_bytes: total, completed_bytes: completed }: Job): PullLine | undefined {
    if (total === null || total <= 0 || completed <= 0) return undefined;
    this.#total ??= total;
    const part = Math.floor((Math.min(completed, total) / total) * this.#total);
    // Never back: an attempt that failed may have lost some.
    this.#completed = Math.max(this.#completed, part);
    return this.#bar(this.#total, this.#completed);
  }

  /** Also of a pull of which nothing else was seen: Ollama itself has such a line for each layer that is there already. */
  #full({ total_bytes: total }: Job): readonly PullLine[] {
    this.#total ??= total;
    if (this.#total === null || this.#total <= 0 || this.#isVerifying) return [];
    return [this.#bar(this.#total, this.#total)];
  }

  #verifying(): readonly PullLine[] {
    if (this.#isVerifying) return [];
    this.#isVerifying = true;
    this.#last = { status: "verifying sha256 digest" };
    return [this.#last];
  }

  #bar(total: number, completed: number): PullLine {
    return { status: `pulling ${this.#digest.slice(0, 12)}`, digest: `sha256:${this.#digest}`, total, completed };
  }
}

const DONE: readonly PullLine[] = [{ status: "writing manifest" }, { status: "success" }];

/** Why a job has ended without its model. */
export function pullError({ state, code, error, model }: Job): string {
  if (state === "cancelled") return `the pull of ${model} was cancelled`;
  const reason = error ?? "no reason given";
  return code === "not_found" ? UNKNOWN_MODEL : reason;
}

/** For a pull that a box refuses: the same words, and why. */
export function refusedPull(message: string): string {
  return message.includes(UNKNOWN_MODEL) ? message : `${UNKNOWN_MODEL} (${message})`;
}
