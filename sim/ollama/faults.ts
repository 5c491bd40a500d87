// The faults that a simulated Ollama can be given at run time.

/** What every route answers instead: nothing at all, a web page, cut-off JSON, or an error of Ollama's own shape. */
export type AnswerFault = "hang" | "html" | "garbled" | { readonly status: number; readonly error: string };

/**
 * The fault of a pull, once a blob has that many bytes (0: right after the first line, before any blob; Infinity:
 * when all are verified, and they are thrown away):
 * - `stall`: lines keep coming and nothing grows, as with a registry that cuts the connection again and again
 * - `silence`: no more lines come
 * - `cut`: the connection ends in the middle of the stream
 * - `garble`: half a line, then the end
 * - `error`: a last line `{"error": ...}` under the 200 that was sent before
 */
export interface PullFault {
  readonly afterBytes: number;
  readonly kind: "stall" | "silence" | "cut" | "garble" | { readonly error: string };
}

/** The switchboard: set a field, and the next request (with `pull` also the pulls under way) is broken; set it back. */
export interface Faults {
  answer: AnswerFault | null;
  /** The one request that `answer` breaks, as `DELETE /api/delete`; null: all. */
  answerTo: string | null;
  pull: PullFault | null;
  /** How long `/api/tags` takes. */
  tagsDelayMs: number;
  /** How long a load takes. */
  loadDelayMs: number;
}

export function noFaults(): Faults {
  return { answer: null, answerTo: null, pull: null, tagsDelayMs: 0, loadDelayMs: 0 };
}
