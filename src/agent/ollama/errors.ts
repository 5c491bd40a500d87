// The errors for failed requests to Ollama: its statuses, its connection, its silence, and programs that are not Ollama.
import { z } from "zod";
import type { CourierError, ErrorCode } from "../../base/errors.ts";
import { type ConnectionReason, connectionReason } from "../../program/registry/connection.ts";
import { type Asked, hintFor, ollamaFailure } from "./meanings.ts";
import { OllamaError } from "./ollama_error.ts";

/** Ollama sends its errors under status 200 too: at the end of a stream always. */
export const ErrorBody = z.object({ error: z.string() });

const LOOPBACK_HINT = "Ollama on loopback answers only to the names of this machine: use http://127.0.0.1:11434";

/**
 * The error for a response with a status other than 200.
 * @param body its JSON, or undefined when it had none
 */
export function statusFailure(asked: Asked, status: number, body: unknown): CourierError {
  const error = ErrorBody.safeParse(body);
  if (error.success) return ollamaFailure(asked, error.data.error, STATUS_CODES[status]);
  // Ollama refuses foreign host names with a bare 403.
  if (status === 401 || status === 403) {
    return new OllamaError("forbidden", asked.action, `Ollama refuses the agent (status ${status})`, {
      hint: hintFor(asked, `${LOOPBACK_HINT}. --ollama is ${asked.url}`),
    });
  }
  return notOllama(asked, `status ${status}`);
}

/** The statuses that decide the code alone. Status 500 means nothing: the text decides. */
const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "forbidden",
  403: "forbidden",
  404: "not_found",
  429: "unavailable",
  503: "unavailable",
};

/** The error for a response that Ollama would not give. */
export function notOllama({ action, url }: Asked, found: string, cause?: unknown): CourierError {
  return new OllamaError("unavailable", action, `another program answers in place of Ollama: ${found}`, {
    hint: `Is another program at ${url}, or a proxy in front of it? Set --ollama to Ollama's own address`,
    cause,
  });
}

const CONNECTION_HINTS: Readonly<Record<ConnectionReason["kind"], string>> = {
  refused: "On this machine: systemctl status ollama, or set --ollama to where it listens",
  name: "Check the host name in --ollama, and this machine's DNS",
  route: "Check the address in --ollama, and this machine's network",
  certificate: "Use http:// in --ollama, or make this machine trust the certificate",
  tls: "Use http:// in --ollama: Ollama itself speaks no TLS",
  "not-http": "Set --ollama to Ollama's own address: another program listens there",
  ended: "Was Ollama restarted? On this machine: journalctl -u ollama",
};

/** The error for a connection that could not be made or broke. */
export function connectionFailure(asked: Asked, cause: unknown): CourierError {
  const { action, url } = asked;
  const { kind, text } = connectionReason(cause);
  return new OllamaError("unavailable", action, `Ollama ${text}`, {
    hint: hintFor(asked, `${CONNECTION_HINTS[kind]} (--ollama is ${url})`),
    cause,
  });
}

/** The error for an Ollama that keeps the connection open and does nothing. */
export function silenceFailure(asked: Asked, what: string, ms: number): CourierError {
  const { action, url } = asked;
  return new OllamaError("unavailable", action, `Ollama ${what} for ${ms / 1000} s`, {
    hint: hintFor(asked, `See Ollama's log on this machine: journalctl -u ollama (--ollama is ${url})`),
  });
}
