// The one error class and its closed list of codes.

/**
 * Every code, with its consequences: whether the same request may be sent again, and the HTTP and exit status of the
 * programs. A new code is a change of the protocol.
 * @see docs/protocol.md, Errors
 */
export const ERROR_CODES = {
  invalid: { retry: "no", http: 400, exit: 64 },
  unauthenticated: { retry: "no", http: 401, exit: 77 },
  forbidden: { retry: "no", http: 403, exit: 77 },
  not_found: { retry: "no", http: 404, exit: 66 },
  conflict: { retry: "no", http: 409, exit: 73 },
  exhausted: { retry: "later", http: 507, exit: 75 },
  unavailable: { retry: "backoff", http: 503, exit: 69 },
  deadline_exceeded: { retry: "depends", http: 504, exit: 75 },
  cancelled: { retry: "no", http: 499, exit: 130 },
  unimplemented: { retry: "no", http: 501, exit: 69 },
  internal: { retry: "no", http: 500, exit: 70 },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

interface ErrorDetails {
  /** What the reader can do about the error. Shown after the message. */
  readonly hint?: string | undefined;
  /** The agent whose words message and hint are, as its response has them. Missing: they are ours. */
  readonly saidBy?: string | undefined;
  readonly cause?: unknown;
}

/** Act on `code`, show `message` and `hint`, log `cause`. */
export class CourierError extends Error {
  override readonly name = "CourierError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly saidBy: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.saidBy = details.saidBy;
  }

  /** Message and hint for people, who must not take an agent's words for our advice. */
  get spoken(): { readonly message: string; readonly hint: string | undefined } {
    const { message, hint, saidBy } = this;
    if (saidBy === undefined) return { message, hint };
    // Agents quote Ollama with the same verb: `gpu-1 says: Cannot pull "phi4": Ollama: unexpected EOF`.
    const quoted = message.replace(/(?<=^|: )Ollama (?:at \S+ )?says: /, "Ollama: ");
    return { message: `${saidBy} says: ${quoted}`, hint: hint === undefined ? undefined : `${saidBy} says: ${hint}` };
  }
}

/** A `CourierError` unchanged; anything else as `internal`, with the original as its cause. */
export function asCourierError(error: unknown): CourierError {
  if (error instanceof CourierError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CourierError("internal", `Unexpected failure: ${message}`, { cause: error });
}

/** The `code` of a system error (`ENOENT`, `EACCES`), or undefined for any other value. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
