// How fast something grows over the last seconds. Imports nothing.

const WINDOW_MS = 5000;

export class Speed {
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** Notes how much there is at a moment of a monotonic clock. */
  note(bytes: number, atMs: number): void {
    this.#samples.push({ bytes, atMs });
    const oldest = this.#samples.findLastIndex((sample) => atMs - sample.atMs >= WINDOW_MS);
    if (oldest > 0) this.#samples = this.#samples.slice(oldest);
  }

  /** Bytes a second; null until there are two moments to compare. */
  bytesPerSecond(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
    return Math.max(0, Math.round(((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)));
  }
}
