// Bytes over time of the jobs that the page saw, and the speed of all of them together. Kept over a reload of the page.

import { parseJson } from "../../base/foreign_text.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import { isActive } from "./job_facts.ts";

export interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

/** As `sessionStorage`. */
export interface Keeping {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

const NONE: readonly Sample[] = [];
const KEY = "gpu-courier pace";
/** Of one job. With more, every second one is dropped. */
const MOST_SAMPLES = 120;
const MOST_JOBS = 500;
/** Over a reload: what a browser keeps for a page is small. */
const KEPT_JOBS = 40;
const MIN_STEP_MS = 500;

export class Pace {
  readonly #samples = new Map<string, Sample[]>();
  readonly #keeping: Keeping | undefined;

  /** @param keeping where the samples survive a reload */
  constructor(keeping?: Keeping) {
    this.#keeping = keeping;
    const kept = parseJson(keeping?.getItem(KEY) ?? "");
    if (!Array.isArray(kept)) return;
    for (const [id, samples] of kept.slice(0, KEPT_JOBS)) {
      if (typeof id === "string" && Array.isArray(samples) && samples.every(isSample)) this.#samples.set(id, samples);
    }
  }

  /** Of a job, the oldest first. */
  of(id: string): readonly Sample[] {
    return this.#samples.get(id) ?? NONE;
  }

  see(id: string, job: JobDocument, nowMs: number): void {
    const known = this.#samples.get(id);
    if (known === undefined && !isActive(job)) return;
    const samples = known ?? beginningOf(job, nowMs);
    const last = samples.at(-1);
    const isNew = last === undefined || (job.completed_bytes !== last.bytes && nowMs - last.atMs >= MIN_STEP_MS);
    if (isNew) samples.push({ atMs: nowMs, bytes: job.completed_bytes });
    if (samples.length > MOST_SAMPLES)
      samples.splice(0, samples.length, ...samples.filter((_, index) => index % 2 === 0));
    this.#samples.delete(id);
    this.#samples.set(id, samples);
    for (const oldest of this.#samples.keys()) {
      if (this.#samples.size <= MOST_JOBS) break;
      this.#samples.delete(oldest);
    }
  }

  save(): void {
    this.#keeping?.setItem(KEY, JSON.stringify([...this.#samples].slice(-KEPT_JOBS)));
  }
}

/** A page that was opened late knows at least when it began, by the clock of its box. */
function beginningOf({ started_at: started, retries = 0 }: JobDocument, nowMs: number): Sample[] {
  const atMs = Date.parse(started ?? "");
  return retries === 0 && atMs < nowMs - MIN_STEP_MS ? [{ atMs, bytes: 0 }] : [];
}

function isSample(value: unknown): value is Sample {
  return typeof value === "object" && value !== null && "atMs" in value && "bytes" in value;
}
