// Failures between gpuctl and gpu-server, as the same errors that a courier on the share has.
import { CourierError, type ErrorCode, systemCode } from "../../base/errors.ts";
import { NobodyAnswered } from "../../courier/unavailable.ts";
import { Problem } from "../../documents/problem.ts";

/** The texts of an error that came over the network. */
const MAX_CHARACTERS = 2_000;
/** What certificates can have wrong, as Bun and Node name it. */
const TLS_CODE = /CERT|SELF_SIGNED|ISSUER|SIGNATURE|TLS|SSL/;
const REASONS: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  ConnectionClosed: "the connection was closed",
  ECONNRESET: "the connection was closed",
  FailedToOpenSocket: "no connection could be made",
  ENOTFOUND: "its name cannot be resolved",
  EAI_AGAIN: "its name cannot be resolved",
  EPROTO: "no TLS could be agreed on",
};
const HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: "Check the name in --server",
  EAI_AGAIN: "Check the name in --server, and this machine's DNS",
  EPROTO: "Check the port in --server, and whether it is https: or http:",
};

/** Nothing came back. @param error what fetch rejected with */
export function notReached(base: string, error: unknown): CourierError {
  const code = systemCode(error) ?? "";
  const text = error instanceof Error ? error.message : String(error);
  if (TLS_CODE.test(code))
    return new CourierError("unavailable", `Cannot trust the certificate of gpu-server at ${base}: ${code}`, {
      hint: "If an authority of your own signed it: --ca FILE, with the certificate of that authority",
      cause: error,
    });
  return new CourierError("unavailable", `Cannot reach gpu-server at ${base}: ${REASONS[code] ?? text}`, {
    hint: HINTS[code] ?? "Check --server, and that gpu-server runs there: systemctl status gpu-courier-server",
    cause: error,
  });
}

/** Something answered, but not gpu-server. @param what it answered */
export function notGpuServer(base: string, what: string, code: ErrorCode = "unavailable"): CourierError {
  return new CourierError(code, `${base} does not answer as gpu-server does: ${what}`, {
    hint: "Check --server. Behind a proxy, check that it reaches gpu-server",
  });
}

/** A gpu-server answered, but has nothing under this path. */
export function wrongPath(base: string): CourierError {
  return new CourierError("unavailable", `${base} is not the address of gpu-server: it has no /v1/agents`, {
    hint: "Check the path in --server",
  });
}

/** The server has no such route. */
export function tooOld(base: string, route: string): CourierError {
  return new CourierError("unimplemented", `gpu-server at ${base} is older than this gpuctl: it has no ${route}`, {
    hint: "Update gpu-server",
  });
}

interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly location: string | null;
}

/** The error that a response of another status than 2xx means. */
export function refusalError(base: string, { status, type, text, location }: Refusal): CourierError {
  const problem = Problem.safeParse(parsed(text)).data;
  if (problem !== undefined) return errorOf(problem);
  if (status >= 300 && status < 400) return notGpuServer(base, `it redirects to ${cut(location ?? "another address")}`);
  const code = status === 401 ? "unauthenticated" : status === 403 ? "forbidden" : "unavailable";
  return notGpuServer(base, `status ${status} with ${cut(type === "" ? "no content type" : type)}`, code);
}

type Shown = Pick<Problem, "code" | "detail" | "hint" | "gpuctl_hint" | "said_by" | "unavailable">;

/** An error that a document holds. */
export function errorOf({ code, detail, said_by, unavailable, ...hints }: Shown): CourierError {
  if (unavailable !== undefined) return new NobodyAnswered(code, cut(detail), unavailable);
  const hint = hints.gpuctl_hint ?? hints.hint;
  return new CourierError(code, cut(detail), {
    hint: hint === undefined ? undefined : cut(hint),
    saidBy: said_by === undefined ? undefined : cut(said_by),
  });
}

function cut(text: string): string {
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS)}…`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
