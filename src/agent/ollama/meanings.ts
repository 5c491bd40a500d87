// What Ollama's words for a failure mean: a code, a hint, and whether another attempt can help.
import { CourierError, type ErrorCode, type ErrorDetails } from "../../base/errors.ts";
import type { Asked } from "./asked.ts";

const MAX_TEXT_CHARS = 500;

/**
 * What another attempt can do about a failed pull: nothing; help once; help at once, the cause being about to go; help
 * when the cause is gone; or nobody knows.
 */
export type Retry = "never" | "once" | "soon" | "later" | "perhaps";

/** A failed pull that knows whether another attempt can help. */
export class PullFailure extends CourierError {
  readonly retry: Retry;

  constructor(code: ErrorCode, message: string, retry: Retry, details: ErrorDetails = {}) {
    super(code, message, details);
    this.retry = retry;
  }
}

interface Meaning {
  readonly text: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
  /** When it does not follow from the code. */
  readonly retry?: Retry;
}

const CHANGED_BYTES = "The registry or the network on the way to it changed bytes";

/**
 * Ollama gives every failure of a pull as one text under one status, so the text is all there is to use. The texts are
 * those of v0.32.15, seen or read in its sources; the first that matches counts; none matching is `internal`: not retried,
 * and shown.
 */
const MEANINGS: readonly Meaning[] = [
  {
    text: /no space left on device|disk quota exceeded/i,
    code: "exhausted",
    hint: "Remove a model, or set OLLAMA_MODELS to a larger disk",
  },
  {
    text: /server gave HTTP response to HTTPS client/i,
    code: "invalid",
    hint: "A registry without TLS must be named to the agent with --insecure-registry HOST:PORT",
  },
  { text: /requires a newer version of ollama/i, code: "unimplemented", hint: "Update Ollama on this box" },
  { text: /invalid model name|name ".*" is invalid|model is required|: 400: /i, code: "invalid" },
  { text: /unauthorized|access denied|realm host|\b403: /i, code: "forbidden", hint: "The registry wants a login" },
  {
    text: /file does not exist/i,
    code: "not_found",
    hint: "Is the name right, with its tag? The registry has none such",
  },
  { text: /model ['"].*['"] not found/i, code: "not_found", hint: "gpuctl list shows what is installed" },
  // What was fetched is thrown away and must be fetched again, says Ollama: the next attempt may well get it whole. But a
  // registry that always sends wrong bytes costs the whole model each time.
  { text: /digest mismatch/i, code: "unavailable", hint: CHANGED_BYTES, retry: "once" },
  // Without our doing: a pull that joins the dying download of one cancelled just before gets it.
  { text: /context canceled/i, code: "unavailable", retry: "soon" },
  // The registry or the network between. A registry that fails when it is asked for a blob shows as a deadline: Ollama asks
  // it again for 30 s.
  {
    text: /(dial|read|write) tcp|no such host|connection re(fused|set)|timeout|\btls: |x509|\bEOF\b|max retries exceeded/,
    code: "unavailable",
    hint: "Can this box reach the registry?",
  },
  {
    text: /permission denied|read-only file system/i,
    code: "unavailable",
    hint: "Ollama may not write to its models' folder on this box: look at its owner, and how its disk is mounted",
    retry: "perhaps",
  },
  { text: /context deadline exceeded/i, code: "unavailable", hint: "The registry does not give the model's data" },
  { text: /server busy|(^|: |status code )(429|5\d\d)\b/i, code: "unavailable" },
];

/** The error for a text that Ollama gave as the reason, in a stream or a body. */
export function ollamaFailure({ action, url }: Asked, text: string, code?: ErrorCode): CourierError {
  const meaning = MEANINGS.find((candidate) => candidate.text.test(text));
  const found = code ?? meaning?.code ?? "internal";
  const message = `Cannot ${action}: Ollama at ${url} says: ${readable(text)}`;
  const hint = meaning?.code === found ? meaning.hint : undefined;
  return new PullFailure(found, message, meaning?.retry ?? retryOfCode(found), { hint });
}

/** The error for a layer that Ollama reported as verified, but whose bytes do not match its digest. */
export function wrongBytesFailure(model: string, digest: string): PullFailure {
  const message = `${cannotPull(model)}: digest mismatch: the bytes of ${readable(digest)} are wrong`;
  return new PullFailure("unavailable", message, "once", { hint: CHANGED_BYTES });
}

/** The error for a layer that was present when a pull began, and is gone now that it has ended. */
export function removedLayerFailure(model: string, digest: string): PullFailure {
  const message = `${cannotPull(model)}: ${readable(digest)} was removed meanwhile`;
  return new PullFailure("conflict", message, "perhaps", {
    hint: "Another model that shares it was deleted: pull it again",
  });
}

function cannotPull(model: string): string {
  return `Cannot pull ${JSON.stringify(model)}`;
}

/** What another attempt can do about this failure of a pull. */
export function retryOf(failure: CourierError): Retry {
  return failure instanceof PullFailure ? failure.retry : retryOfCode(failure.code);
}

function retryOfCode(code: ErrorCode): Retry {
  if (code === "unavailable") return "later";
  return code === "internal" ? "perhaps" : "never";
}

/** Text of another program, fit for a log line and a screen. */
function readable(text: string): string {
  const line = text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .replaceAll(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/g, "$1")
    .trim();
  return line.length > MAX_TEXT_CHARS ? `${line.slice(0, MAX_TEXT_CHARS)}...` : line;
}
