// A failed pull, and what another attempt can do about it.
import { CourierError, type ErrorCode } from "../../base/errors.ts";
import { readable } from "./text.ts";

/**
 * What another attempt at a pull can do: nothing; help once; help at once, because the cause is about to go; help once the
 * cause is gone; or unknown.
 */
export type Retry = "never" | "once" | "soon" | "later" | "perhaps";

/** A failed pull, with what another attempt can do about it. */
export class PullFailure extends CourierError {
  readonly retry: Retry;

  constructor(
    code: ErrorCode,
    message: string,
    details: { readonly retry?: Retry; readonly hint?: string | undefined },
  ) {
    super(code, message, { hint: details.hint });
    this.retry = details.retry ?? defaultRetry(code);
  }
}

/** The error for a layer that Ollama took for complete and correct, and that is not. */
export function wrongBytesFailure(model: string, digest: string): PullFailure {
  const found = `digest mismatch: the bytes of ${readable(digest)} are wrong`;
  const hint = "The registry or the network changed bytes";
  return new PullFailure("unavailable", `Cannot pull ${JSON.stringify(model)}: ${found}`, { hint, retry: "once" });
}

/** The error for a layer that was there when a pull began, and is gone now that it ended. */
export function removedLayerFailure(model: string, digest: string): PullFailure {
  const message = `Cannot pull ${JSON.stringify(model)}: ${readable(digest)} was removed during the pull`;
  const hint = "Another model that shares it was deleted: pull it again";
  return new PullFailure("conflict", message, { hint, retry: "perhaps" });
}

/** What another attempt can do about this failure of a pull. */
export function retryOf(failure: CourierError): Retry {
  return failure instanceof PullFailure ? failure.retry : defaultRetry(failure.code);
}

function defaultRetry(code: ErrorCode): Retry {
  if (code === "unavailable") return "later";
  return code === "internal" ? "perhaps" : "never";
}
