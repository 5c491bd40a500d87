// Checks the server through its own listener, as any client would, and reports to the service manager.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { Outage } from "../base/outage.ts";
import type { ServiceManager } from "../program/service_manager.ts";
import type { Transport } from "../transport.ts";
import type { Readiness } from "./http/readiness.ts";

export interface SelfCheckOptions {
  /** Where the server listens. */
  readonly url: string;
  /** Has the details, which /readyz shows only with a token. */
  readonly readiness: Pick<Readiness, "reason">;
  readonly transport: Pick<Transport, "description">;
  readonly service: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 5_000;
const TIMEOUT_MS = 30_000;

/**
 * Requests /readyz every 5 s until the signal aborts. A response that the share cannot be read counts as alive: only no
 * response at all means that the server hangs.
 */
export async function checkItself(options: SelfCheckOptions, signal: AbortSignal): Promise<void> {
  const { url, readiness, transport, service, clock, log } = options;
  const outage = new Outage({ clock, log, subject: `Own listener ${url}` });
  while (!signal.aborted) {
    try {
      const reason = (await isReady(url, signal)) ? null : await readiness.reason();
      service.status(reason === null ? `${url} on ${transport.description}` : `waiting for the share: ${reason}`);
      service.alive();
      outage.ended("self check");
    } catch (error) {
      if (!signal.aborted) outage.failed("self check", error);
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  // If HTTP_PROXY is set, Bun would ask the proxy for 127.0.0.1 too.
  const init = { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]), proxy: false };
  const response = await fetch(`${url}/readyz`, init);
  await response.text();
  return response.ok;
}
