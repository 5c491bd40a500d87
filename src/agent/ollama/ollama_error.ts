// A failed request to Ollama: the reason by itself, because the request may be a step of something else.
import { CourierError, type ErrorCode } from "../../base/errors.ts";

export class OllamaError extends CourierError {
  /** Without the action: `Ollama does not answer (connection refused)`. */
  readonly reason: string;

  /** @param action in words: `delete "phi4:latest"` */
  constructor(
    code: ErrorCode,
    action: string,
    reason: string,
    details: { readonly hint?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(code, `Cannot ${action}: ${reason}`, details);
    this.reason = reason;
  }

  /** The same failure, of what the request was a step of. */
  during(action: string): OllamaError {
    return new OllamaError(this.code, action, this.reason, { hint: this.hint, cause: this });
  }
}
