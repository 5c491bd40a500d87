// One question to the platform's login over HTTP: short, bounded, and never sent on to another address.
import { CourierError, systemCode } from "../../../base/errors.ts";
import { readBounded } from "../../../base/foreign_text.ts";

export interface QuestionOptions {
  readonly url: URL;
  /** The certificates to trust instead of the usual ones, as PEM; null: the usual ones. */
  readonly ca: string | null;
  /** For all of it. */
  readonly timeoutMs?: number;
}

export interface Reply {
  readonly status: number;
  /** Null: it is too long. */
  readonly text: string | null;
}

const TIMEOUT_MS = 2_000;
const MAX_BYTES = 64_000;

/**
 * @param headers are sent to this address only: no redirect is followed
 * @throws CourierError `unavailable` when there is no complete reply in time
 */
export async function ask(
  { url, ca, timeoutMs = TIMEOUT_MS }: QuestionOptions,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      headers: { accept: "application/json", "accept-encoding": "identity", ...headers },
      signal,
      redirect: "manual",
      // None is found dead after a restart of the platform.
      keepalive: false,
      // A proxy would read what is sent without TLS.
      ...(url.protocol === "http:" ? { proxy: false } : {}),
      ...(ca === null ? {} : { tls: { ca } }),
    });
    return { status: response.status, text: await readBounded(response.body, MAX_BYTES) };
  } catch (error) {
    throw unusable(url, signal.aborted ? `does not answer within ${timeoutMs / 1000} s` : reasonOf(error));
  }
}

/** Why a reply cannot be used: for the log, as it names the host. */
export function unusable({ host }: URL, reason: string, hint?: string): CourierError {
  return new CourierError("unavailable", `${host} ${reason}`, { hint });
}

/** The text of a failure may quote what was sent: only its code is shown. */
function reasonOf(error: unknown): string {
  return `cannot be reached: ${systemCode(error) ?? "the connection ended early"}`;
}
