// How a bound is shared among senders, so that the one with the most entries gives way first.

/** How many each sender keeps so that all together keep at most `kept`, as nearly as whole numbers allow; at least one. */
export function fairShare(counts: readonly number[], kept: number): number {
  let left = kept;
  for (const [index, count] of counts.toSorted((a, b) => a - b).entries()) {
    const share = Math.floor(left / (counts.length - index));
    if (count > share) return Math.max(1, share);
    left -= count;
  }
  return Number.POSITIVE_INFINITY;
}
