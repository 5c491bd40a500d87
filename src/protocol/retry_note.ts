// Why a job waits, in the words that agents write: before another attempt, or for its box's window.

/**
 * `retrying in 8 s: …`, `retrying: …`; of older agents `waiting 8 s after: …`, `trying again after: …`. Its groups: the time
 * of newer agents, that of older ones, and the reason.
 */
export const RETRY_NOTE = /^(?:retrying|trying again|waiting)(?: in ([^:]+)| ([^:]+) after| after)?: (.*)$/s;

const WINDOW = /^waits for its window until (\S.*)$/s;

/** `waiting_for` of a job outside its box's windows. @param until `2026-11-30 20:00 Europe/Berlin` */
export function windowNote(until: string): string {
  return `waits for its window until ${until}`;
}

/** Until when a job waits for its window, as its box says it; null when it does not. */
export function windowOf({ state, waiting_for = null }: WaitingJob): string | null {
  return state === "queued" ? (WINDOW.exec(waiting_for ?? "")?.[1] ?? null) : null;
}

interface WaitingJob {
  readonly state: string;
  readonly waiting_for?: string | null | undefined;
}
