// How much of a list fits into a document that has a size limit.

/** How many of the first items fit into `maxBytes` as a JSON list. Reads no further than the first that does not fit. */
export function fittingCount(items: readonly unknown[], maxBytes: number): number {
  const brackets = 2;
  let bytes = brackets;
  for (const [index, item] of items.entries()) {
    const comma = index === 0 ? 0 : 1;
    bytes += comma + Buffer.byteLength(JSON.stringify(item));
    if (bytes > maxBytes) return index;
  }
  return items.length;
}
