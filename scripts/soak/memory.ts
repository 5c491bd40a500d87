// The memory of a process over time, and whether it is flat. Reads /proc: Linux only.
import { readFileSync } from "node:fs";

const EVERY_MS = 250;

/** Samples what a process holds in memory until it is stopped. */
export class MemoryTrace {
  readonly #pid: number;
  readonly #megabytes: number[] = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#megabytes.push(residentMb(this.#pid)), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Means of the quarters, in MB. */
  get quarters(): readonly number[] {
    const size = this.#megabytes.length / 4;
    return [0, 1, 2, 3].map((index) =>
      mean(this.#megabytes.slice(Math.round(index * size), Math.round((index + 1) * size))),
    );
  }

  /** The last quarter against the first. */
  get growth(): number {
    const [first = Number.NaN, , , last = Number.NaN] = this.quarters;
    return last / first;
  }
}

export function residentMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
