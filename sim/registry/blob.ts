// The content of a registry's models: as many bytes as wanted from a name, without storing them.
const UNIT_BYTES = 65_536;

/** Bytes that depend on a name alone; `digest` is theirs, as manifests write it. */
export class Blob {
  readonly size: number;
  readonly digest: string;
  readonly #unit: Uint8Array;
  readonly #wrongUnit: Uint8Array;

  constructor(name: string, size: number) {
    const seed = new Bun.CryptoHasher("sha256").update(name).digest();
    this.#unit = new Uint8Array(UNIT_BYTES).map((_, index) => (seed[index % seed.length] ?? 0) ^ ((index >> 5) % 251));
    this.#wrongUnit = this.#unit.map((byte) => byte ^ 255);
    this.size = size;
    const hasher = new Bun.CryptoHasher("sha256");
    for (let at = 0; at < size; at += UNIT_BYTES) hasher.update(this.slice(at, Math.min(at + UNIT_BYTES, size)));
    this.digest = `sha256:${hasher.digest("hex")}`;
  }

  /** At most 64 KiB at a time. @param isWrong other bytes than the digest's */
  slice(start: number, end: number, isWrong = false): Uint8Array {
    const unit = isWrong ? this.#wrongUnit : this.#unit;
    const length = Math.min(end, this.size, start + UNIT_BYTES) - start;
    const from = start % UNIT_BYTES;
    const head = unit.subarray(from, Math.min(from + length, UNIT_BYTES));
    return head.length === length ? head : Buffer.concat([head, unit.subarray(0, length - head.length)]);
  }
}
