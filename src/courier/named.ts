// Lists of names in messages: a fleet may have thousands of agents.

/** A message names the first of them. */
export const NAMED = 20;

export function firstOf<Entry>(
  entries: readonly Entry[],
  describe: (entry: Entry) => string,
  separator = ", ",
  most = NAMED,
): string {
  const named = entries.slice(0, most).map(describe).join(separator);
  return entries.length <= most ? named : `${named} and ${entries.length - most} more`;
}
