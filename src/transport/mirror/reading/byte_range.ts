// The part of a blob that a client of a registry asks for.

/** `from` up to and not including `to`. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * One range of the two kinds that clients send: `bytes=5-9` and `bytes=5-`.
 * @param header undefined: all of the blob
 * @returns null when it is neither, or beyond the end
 */
export function rangeOf(header: string | null | undefined, bytes: number): ByteRange | null {
  if (header === null || header === undefined) return { from: 0, to: bytes };
  const [, from = "", last = ""] = /^bytes=(\d{1,16})-(\d{0,16})$/.exec(header) ?? [];
  const range = { from: Number(from), to: last === "" ? bytes : Math.min(Number(last) + 1, bytes) };
  return from !== "" && range.from < range.to ? range : null;
}
