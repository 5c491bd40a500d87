// Failures as HTTP answers, in the style of the route that failed. Imports hono's exception, errors.
import { HTTPException } from "hono/http-exception";
import { CourierError, ERROR_CODES, type ErrorCode } from "../../base/errors.ts";

const RETRY_AFTER_S = 5;

const TITLES: Readonly<Record<ErrorCode, string>> = {
  invalid: "The request can never work",
  unauthenticated: "A valid token is needed",
  forbidden: "The token, the share or the agent does not permit that",
  not_found: "There is no such thing",
  conflict: "It is already there, ambiguous or busy",
  exhausted: "Disk, queue or memory is full",
  unavailable: "The share, Ollama or the agent cannot be reached",
  deadline_exceeded: "No answer came in time",
  cancelled: "The caller gave up",
  unimplemented: "This agent or transport cannot do that",
  internal: "Unexpected failure",
};

/** Statuses that say more than their code does. */
const SPECIAL = { 413: "invalid", 415: "invalid", 429: "exhausted" } as const;

/** A failure whose status says more than its code. */
export function failWith(status: keyof typeof SPECIAL, message: string, hint: string): HTTPException {
  return new HTTPException(status, { message, cause: new CourierError(SPECIAL[status], message, { hint }) });
}

/**
 * What a failed request is answered: `{"detail"}` under /api/config, `{"success": false, "error"}` under the rest of
 * /api, elsewhere a problem document (RFC 9457).
 */
export function errorResponse(path: string, error: unknown): Response {
  const known = asKnown(error);
  const status = error instanceof HTTPException ? error.status : ERROR_CODES[known.code].http;
  const headers = new Headers({ "content-type": "application/json" });
  if (status === 429 || status === 503) headers.set("retry-after", String(RETRY_AFTER_S));
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="gpu-courier"');
  if (!path.startsWith("/api/")) headers.set("content-type", "application/problem+json");
  return new Response(JSON.stringify(body(path, status, known)), { status, headers });
}

/** What may be said of an error outside: of one that nobody expected, only that it happened. */
function asKnown(error: unknown): CourierError {
  if (error instanceof CourierError) return error;
  if (error instanceof HTTPException) {
    if (error.cause instanceof CourierError) return error.cause;
    return new CourierError(error.status < 500 ? "invalid" : "internal", error.message);
  }
  return new CourierError("internal", "Unexpected failure: the log of gpu-server has the cause");
}

function body(path: string, status: number, { code, message, hint }: CourierError): object {
  const text = hint === undefined ? message : `${message}${/[.?!]$/.test(message) ? "" : "."} ${hint}`;
  if (path.startsWith("/api/config")) return { detail: text };
  if (path.startsWith("/api/")) return { success: false, error: text };
  const problem = { type: `urn:gpu-courier:${code}`, title: TITLES[code], status, detail: message, code };
  return hint === undefined ? problem : { ...problem, hint };
}
