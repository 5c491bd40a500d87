// Failures on the way to a box, in the form of Ollama's own: JSON with `error`.
import { z } from "zod";
import { asCourierError, CourierError, ERROR_CODES } from "../../../base/errors.ts";
import { visibleText } from "../../../base/format.ts";
import { Problem } from "../../../documents/problem.ts";
import { notGpuServer, refusalError, tooOld } from "../failures.ts";

const MAX_TEXT = 2_000;

/** The box's own errors, and those of an OpenAI client, have the field `error`. */
const OllamaError = z.looseObject({ error: z.union([z.string(), z.looseObject({})]) });
/** As Ollama has it, or a problem document. */
const RejectedToken = z.looseObject({
  error: z.string().max(MAX_TEXT).optional(),
  detail: z.string().max(MAX_TEXT).optional(),
});

/** A response that may be of something on the way, in place of the box. */
type Refused = Parameters<typeof refusalError>[1];

/** Whether the box, or gpu-server on its behalf, said this: then its clients understand it. */
export function isOfOllama({ status, text }: Refused): boolean {
  return status >= 400 && status !== 401 && OllamaError.safeParse(parsed(text)).success;
}

/** The error that anything else means. */
export function errorOfRefused(base: string, refused: Refused): CourierError {
  const { status, type, text } = refused;
  if (status < 300) return notGpuServer(base, `it is a page of ${type}`);
  if (status === 404 && Problem.safeParse(parsed(text)).success) return tooOld(base, "/agents/{agent}");
  const error = refusalError(base, refused);
  const said = RejectedToken.safeParse(parsed(text)).data;
  const why = said?.detail ?? said?.error;
  if (status !== 401 || why === undefined) return error;
  // Readers of this may not know of any token.
  const message = `gpu-server rejected the token of gpuctl: ${why}`;
  return new CourierError("unauthenticated", message, { hint: said?.detail === undefined ? undefined : error.hint });
}

/** The stream of a box broke off. */
export function brokenOff(base: string): CourierError {
  return new CourierError("unavailable", `The connection to gpu-server at ${base} broke off`, {
    hint: "A pull continues without it: the same command again shows how far it is",
  });
}

export function failureResponse(error: unknown): Response {
  const { code } = asCourierError(error);
  // A client has no other token: 401 would make it ask for one, and Ollama's command line hides the reason of a 401.
  return errorResponse(code === "unauthenticated" ? 403 : ERROR_CODES[code].http, failureText(error));
}

export function errorResponse(status: number, text: string): Response {
  return Response.json({ error: text }, { status });
}

/**
 * In one line. Ollama's command line starts a server of its own after an error with ` refused` or `could not connect`
 * (0.32, cmd/cmd.go, `checkServerHeartbeat`).
 */
export function failureText(error: unknown): string {
  const { message, hint } = asCourierError(error).spoken;
  return visibleText(hint === undefined ? message : `${message}. ${hint}`, " ")
    .replaceAll(/ refused/gi, " rejected")
    .replaceAll(/could not connect/gi, "cannot connect");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
