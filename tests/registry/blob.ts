// The content of a registry's models: as many bytes as wanted from a name, without storing them. Imports Bun.
const UNIT_BYTES = 65_536;

/** Bytes that depend on a name alone; `digest` is theirs, as manifests write it. */
export class Blob {
  readonly size: number;
  readonly digest: string;
  readonly #unit: Uint8Array;

  constructor(name: string, size: number) {
    const seed = new Bun.CryptoHasher("sha256").update(name).digest();
    this.#unit = new Uint8Array(UNIT_BYTES).map((_, index) => (seed[index % seed.length] ?? 0) ^ ((index >> 5) % 251));
    this.size = size;
    const hasher = new Bun.CryptoHasher("sha256");
    for (let at = 0; at < size; at += UNIT_BYTES) hasher.update(this.slice(at, Math.min(at + UNIT_BYTES, size)));
    this.digest = `sha256:${hasher.digest("hex")}`;
  }

  /** At most 64 KiB at a time. */
  slice(start: number, end: number): Uint8Array {
    const length = Math.min(end, this.size, start + UNIT_BYTES) - start;
    const from = start % UNIT_BYTES;
    const head = this.#unit.subarray(from, Math.min(from + length, UNIT_BYTES));
    return head.length === length ? head : Buffer.concat([head, this.#unit.subarray(0, length - head.length)]);
  }
}
