// Failures as HTTP responses, in the style of the route that failed.
import { HTTPException } from "hono/http-exception";
import { CourierError, ERROR_CODES, type ErrorCode, isErrorCode } from "../../base/errors.ts";
import { NobodyAnswered } from "../../courier/unavailable.ts";
import type { Problem, ProblemDetails } from "../../documents/problem.ts";
import { unavailableField } from "../../documents/unavailable.ts";
import { type Caller, describeCaller } from "../access/caller.ts";
import { inHttpWords } from "./http_words.ts";
import { ollamaError } from "./ollama_error.ts";
import { OLLAMA_PREFIX } from "./request_target.ts";

/** Unless the failure says when. */
const RETRY_AFTER_S = 5;

/** The title of each code. A client acts on the code: titles are for people. */
const TITLES: Readonly<Record<ErrorCode, string>> = {
  invalid: "Invalid request",
  unauthenticated: "Valid token required",
  forbidden: "Not permitted",
  not_found: "Not found",
  conflict: "Conflict",
  exhausted: "Out of disk space, memory or queue places",
  unavailable: "Service unavailable",
  deadline_exceeded: "No response in time",
  cancelled: "Request cancelled",
  unimplemented: "Not supported by this agent",
  internal: "Unexpected failure",
};

type SpecialStatus = 405 | 413 | 415 | 429;

/** Statuses that say more than their code does, each with its code and title. */
const SPECIAL: Readonly<Record<SpecialStatus, { readonly code: ErrorCode; readonly title: string }>> = {
  405: { code: "invalid", title: "Method not allowed" },
  413: { code: "invalid", title: "Body too large" },
  415: { code: "invalid", title: "Unsupported media type" },
  429: { code: "exhausted", title: "Too many requests" },
};

/** A failure whose status says more than its code. */
export function failWith(status: SpecialStatus, message: string, hint: string): HTTPException {
  return new HTTPException(status, { message, cause: new CourierError(SPECIAL[status].code, message, { hint }) });
}

/** A caller sends too many requests. */
export class TooFast extends HTTPException {
  readonly retryAfterS: number;

  constructor(caller: Pick<Caller, "name" | "way">, waitMs: number) {
    const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
    const message = `${describeCaller(caller)} sends too many requests`;
    const hint = `Wait ${retryAfterS} s. Follow /v1/events instead of asking again and again`;
    super(429, { message, cause: new CourierError(SPECIAL[429].code, message, { hint }) });
    this.retryAfterS = retryAfterS;
  }
}

/**
 * The response to a failed request: `{"detail"}` under /api/config, `{"success": false, "error"}` under the rest of /api, as
 * Ollama's under /agents, elsewhere a problem document (RFC 9457).
 */
export function errorResponse(path: string, error: unknown): Response {
  const known = asKnown(error);
  const status = error instanceof HTTPException ? error.status : ERROR_CODES[known.code].http;
  const headers = new Headers({ "content-type": "application/json" });
  const retryAfterS = error instanceof TooFast ? error.retryAfterS : RETRY_AFTER_S;
  if (status === 429 || status === 503) headers.set("retry-after", String(retryAfterS));
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="gpu-courier"');
  if (!path.startsWith("/api/") && !path.startsWith(OLLAMA_PREFIX))
    headers.set("content-type", "application/problem+json");
  // OpenAI's clients send each request twice more that fails with a 5xx, although it would fail again.
  if (status === 501 && path.startsWith(OLLAMA_PREFIX)) headers.set("x-should-retry", "false");
  return new Response(JSON.stringify(body(path, status, known)), { status, headers });
}

/** The code of a response's status; undefined: it is a success. */
export function codeOf(status: number): ErrorCode | undefined {
  if (status < 400) return undefined;
  if (isSpecial(status)) return SPECIAL[status].code;
  const known = Object.keys(ERROR_CODES).filter(isErrorCode);
  return known.find((code) => ERROR_CODES[code].http === status) ?? (status < 500 ? "invalid" : "internal");
}

/** The error as a caller may see it. The details of an unexpected one stay in the log. */
function asKnown(error: unknown): CourierError {
  if (error instanceof CourierError) return error;
  if (error instanceof HTTPException) {
    if (error.cause instanceof CourierError) return error.cause;
    return new CourierError(error.status < 500 ? "invalid" : "internal", error.message);
  }
  return new CourierError("internal", "Unexpected failure: the log of gpu-server has the cause");
}

function body(path: string, status: number, error: CourierError): object {
  const { message, hint } = error;
  const text = hint === undefined ? message : `${message}${/[.?!]$/.test(message) ? "" : "."} ${hint}`;
  if (path.startsWith(OLLAMA_PREFIX)) return ollamaError(path, status, text);
  if (path.startsWith("/api/config")) return { detail: text };
  if (path.startsWith("/api/")) return { success: false, error: text };
  return problemOf(status, error);
}

/** The problem document (RFC 9457) of an error. */
export function problemOf(status: number, error: CourierError): Problem {
  const { code } = error;
  return { type: `urn:gpu-courier:${code}`, title: titleOf(status, code), status, ...detailsOf(error) };
}

/** What a document has of an error beside its title. */
export function detailsOf(error: CourierError): ProblemDetails {
  const { code, message, hint, saidBy } = error;
  const spoken = hint === undefined ? undefined : inHttpWords(hint, saidBy);
  return {
    detail: message,
    code,
    ...(spoken === undefined ? {} : { hint: spoken }),
    ...(spoken === hint ? {} : { gpuctl_hint: hint }),
    ...(saidBy === undefined ? {} : { said_by: saidBy }),
    ...unavailableField(error instanceof NobodyAnswered ? error.unavailable : []),
  };
}

function titleOf(status: number, code: ErrorCode): string {
  return isSpecial(status) ? SPECIAL[status].title : TITLES[code];
}

function isSpecial(status: number): status is SpecialStatus {
  return status in SPECIAL;
}
