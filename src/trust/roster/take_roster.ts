// Reads the roster of a transport, once or again and again, and keeps it if it is newer.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Content, Transport } from "../../transport.ts";
import type { KeptRoster } from "./kept_roster.ts";

type Source = Pick<Transport, "readRoster">;

/**
 * Looks at the published roster, which counts from then on if it is newer, and keeps it.
 * @returns whether another one counts now
 * @throws CourierError with the reason when it does not count: the kept one still does; `unavailable`
 */
export async function takeRoster(transport: Source, kept: KeptRoster): Promise<boolean> {
  const before = kept.roster;
  await offerRoster(transport, kept);
  kept.save();
  return kept.roster !== before;
}

/**
 * As `takeRoster()`, without keeping it.
 * @returns whether there is a published roster
 */
export async function offerRoster(transport: Source, kept: KeptRoster): Promise<boolean> {
  const content = await transport.readRoster();
  if (content !== null) offer(content, kept);
  return content !== null;
}

export interface RosterReadingDeps {
  readonly transport: Source;
  readonly kept: KeptRoster;
  readonly clock: Clock;
  readonly log: Log;
}

const LOOK_EVERY_MS = 60_000;
/** While the share cannot be read, as at the start. */
const RETRY_MS = 2_000;

export class RosterReading {
  readonly #deps: RosterReadingDeps;
  #logged: string | null = null;
  #hasWarned = false;

  constructor(deps: RosterReadingDeps) {
    this.#deps = deps;
  }

  /** Looks once a minute until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const couldRead = await this.#look();
      await this.#deps.clock.sleep(couldRead ? LOOK_EVERY_MS : RETRY_MS, signal);
    }
  }

  /** @returns false when the share could not be read */
  async #look(): Promise<boolean> {
    const { transport, kept, log } = this.#deps;
    try {
      const isNew = await takeRoster(transport, kept);
      if (isNew) log.info({ serial: kept.roster?.serial, key: kept.roster?.signedBy }, "A new roster counts");
      this.#logged = null;
      this.#warnWithout();
      return true;
    } catch (error) {
      const { code, message, hint } = asCourierError(error);
      // An outage is logged elsewhere.
      if (code === "unavailable") return false;
      if (message !== this.#logged) log.error({ hint }, message);
      this.#logged = message;
      return true;
    }
  }

  /** Before an operator has published the first one, that is no error. Nothing is revoked then. */
  #warnWithout(): void {
    const { kept, log } = this.#deps;
    const { trouble } = kept;
    if (this.#hasWarned || kept.roster !== null || trouble === null) return;
    log.warn({ hint: trouble.hint }, trouble.message);
    this.#hasWarned = true;
  }
}

function offer(content: Content, kept: KeptRoster): void {
  try {
    if ("text" in content) return kept.offer(content.text);
  } catch (error) {
    const { code, message, hint } = asCourierError(error);
    throw new CourierError(code, `Refuses the published roster: ${message}`, { hint, cause: error });
  }
  throw new CourierError("invalid", `Refuses the published roster: it ${content.refused}`);
}
