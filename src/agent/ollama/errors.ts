// What goes wrong with an answer of Ollama or its connection, as errors with codes. Imports errors, what Ollama's words mean,
// zod.
import { z } from "zod";
import { CourierError, type ErrorCode, systemCode } from "../../base/errors.ts";
import type { Asked } from "./asked.ts";
import { ollamaFailure } from "./meanings.ts";

const ErrorBody = z.object({ error: z.string() });

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
