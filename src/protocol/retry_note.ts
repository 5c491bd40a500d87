// The note of a job that tries again, as agents of all releases write it.

/**
 * `retrying in 8 s: …`, `retrying: …`; of older agents `waiting 8 s after: …`, `trying again after: …`. Its groups: the time
 * of newer agents, that of older ones, and the reason.
 */
export const RETRY_NOTE = /^(?:retrying|trying again|waiting)(?: in ([^:]+)| ([^:]+) after| after)?: (.*)$/s;
