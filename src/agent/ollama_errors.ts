// What a failure of Ollama means: its statuses and texts as codes. Imports errors, zod.
import { z } from "zod";
import { CourierError, type ErrorCode, systemCode } from "../errors.ts";

/** One request, for people: what was to be done (`pull "phi4"`), and at which Ollama. */
export interface Asked {
  readonly action: string;
  readonly url: string;
}

const MAX_TEXT_CHARS = 500;
const ErrorBody = z.object({ error: z.string() });

interface Meaning {
  readonly text: RegExp;
  readonly code: ErrorCode;
  readonly hint?: string;
}

/**
 * Ollama gives every failure of a pull as one text under one status, so the text is all there is to go by. The texts are
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
  { text: /file does not exist|model ['"].*['"] not found/i, code: "not_found" },
  // What was fetched is thrown away and must be fetched again, says Ollama: the next attempt may well get it whole.
  // Whoever tries again must bound how often: a registry that always sends wrong bytes costs the whole model each time.
  { text: /digest mismatch/i, code: "unavailable", hint: "The registry or the way to it changed bytes" },
  // The registry or the network between. `context canceled` without our doing: a pull that joins the dying download of
  // one cancelled just before gets it.
  {
    text: /dial tcp|no such host|connection re(fused|set)|timeout|\btls: |x509|\bEOF\b|max retries exceeded/,
    code: "unavailable",
    hint: "Can this box reach the registry?",
  },
  { text: /context (canceled|deadline exceeded)|server busy|(^|: )(429|5\d\d): /i, code: "unavailable" },
];

/** The error for a text that Ollama gave as the reason, in a stream or a body. */
export function ollamaFailure({ action, url }: Asked, text: string, code?: ErrorCode): CourierError {
  const meaning = MEANINGS.find((candidate) => candidate.text.test(text));
  const found = code ?? meaning?.code ?? "internal";
  return new CourierError(found, `Cannot ${action}: Ollama at ${url} says: ${readable(text)}`, {
    hint: meaning?.code === found ? meaning.hint : undefined,
  });
}

/**
 * The error for an answer with a status other than 200.
 * @param body its JSON, or undefined when it had none
 */
export function statusFailure(asked: Asked, status: number, body: unknown): CourierError {
  const error = ErrorBody.safeParse(body);
  if (status === 401 || status === 403) {
    return new CourierError("forbidden", `Cannot ${asked.action}: Ollama at ${asked.url} answers ${status}`, {
      hint: "Ollama on loopback answers only to the names of this box: use http://127.0.0.1:11434",
    });
  }
  // Without Ollama's own shape of an error it is something else that answers, or something in front of it.
  if (!error.success) return notOllama(asked, `status ${status}`);
  return ollamaFailure(asked, error.data.error, STATUS_CODES[status]);
}

/** What a status decides alone; 500 says nothing, the text does. */
const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  404: "not_found",
  429: "unavailable",
  503: "unavailable",
};

/** The error for an answer that Ollama would not give. */
export function notOllama({ action, url }: Asked, found: string, cause?: unknown): CourierError {
  return new CourierError("unavailable", `Cannot ${action}: what answers at ${url} is not Ollama: ${found}`, {
    hint: "Is another program there, or a proxy in front of it? Set --ollama to Ollama's own address",
    cause,
  });
}

/** The error for a connection that was not made or did not last. */
export function connectionFailure({ action, url }: Asked, cause: unknown): CourierError {
  const code = systemCode(cause);
  const refused = code === "ECONNREFUSED" || code === "ConnectionRefused";
  const what = refused ? "refuses the connection" : "ended the connection before its answer was whole";
  return new CourierError("unavailable", `Cannot ${action}: Ollama at ${url} ${what}`, {
    hint: refused ? "Start it (systemctl start ollama), or set --ollama to where it listens" : "Was it restarted?",
    cause,
  });
}

/** The error for an Ollama that keeps the connection and does nothing. */
export function silenceFailure({ action, url }: Asked, what: string, ms: number): CourierError {
  return new CourierError("unavailable", `Cannot ${action}: Ollama at ${url} ${what} for ${ms / 1000} s`, {
    hint: "Ollama's log tells more: journalctl -u ollama",
  });
}

/** Text of another program, fit for a log line and a screen. */
function readable(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > MAX_TEXT_CHARS ? `${line.slice(0, MAX_TEXT_CHARS)}...` : line;
}
