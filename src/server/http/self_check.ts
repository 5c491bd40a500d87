// Checks the server through its own listener, as any client would, and reports to the service manager.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import type { ServiceManager } from "../../program/service_manager.ts";
import type { Transport } from "../../transport.ts";
import type { Login } from "../access/authenticator.ts";
import type { Readiness } from "./readiness.ts";

export interface SelfCheckOptions {
  /** Where the server listens. */
  readonly url: string;
  /** Has the details, which /readyz shows only with a token. */
  readonly readiness: Pick<Readiness, "reason">;
  /** The platform's own; null: there are only own tokens. */
  readonly login: Pick<Login, "check"> | null;
  /** Why webhooks are not delivered; null: they are. */
  readonly webhooks: { readonly trouble: string | null };
  readonly transport: Pick<Transport, "description">;
  readonly service: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 5_000;
const TIMEOUT_MS = 30_000;
/** The platform may log each such request. */
const LOGIN_EVERY_MS = 60_000;

/**
 * Requests /readyz every 5 s until the signal aborts. A response that the share cannot be read counts as alive: only no
 * response at all means that the server hangs.
 */
export async function checkItself(options: SelfCheckOptions, signal: AbortSignal): Promise<void> {
  const { url, readiness, webhooks, transport, service, clock, log } = options;
  const outage = new Outage({ clock, log, subject: `Own listener ${url}` });
  const login = new LoginCheck(options);
  while (!signal.aborted) {
    try {
      const reason = (await isReady(url, signal)) ? null : await readiness.reason();
      const share = reason === null ? `${url} on ${transport.description}` : `waiting for the share: ${reason}`;
      const undelivered = webhooks.trouble === null ? "" : `, webhooks are not delivered: ${webhooks.trouble}`;
      service.status(`${share}${login.note()}${undelivered}`);
      service.alive();
      outage.ended("self check");
    } catch (error) {
      if (!signal.aborted) outage.failed("self check", error);
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

/** Whether the platform's login works, as far as that shows without a token. It stops nothing: own tokens work without it. */
class LoginCheck {
  readonly #options: Pick<SelfCheckOptions, "login" | "clock">;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #note = "";

  constructor(options: Pick<SelfCheckOptions, "login" | "clock">) {
    this.#options = options;
  }

  /** For the status line, as last seen; empty while it works. Starts another look when one is due, which holds up nothing. */
  note(): string {
    const { login, clock } = this.#options;
    if (login !== null && clock.monotonic() - this.#checkedMs >= LOGIN_EVERY_MS) {
      this.#checkedMs = clock.monotonic();
      void this.#look(login);
    }
    return this.#note;
  }

  async #look(login: Pick<Login, "check">): Promise<void> {
    try {
      await login.check();
      this.#note = "";
    } catch (error) {
      this.#note = `, the platform's login does not work: ${asCourierError(error).message}`;
    }
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  // If HTTP_PROXY is set, Bun would ask the proxy for 127.0.0.1 too.
  const init = { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]), proxy: false };
  const response = await fetch(`${url}/readyz`, init);
  await response.text();
  return response.ok;
}
