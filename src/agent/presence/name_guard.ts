// Keeps two agents from serving under one name: at the start, and while the agent runs.
import type { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import { parseJson } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { Sightings } from "../../base/sightings.ts";
import { LIMITS, State } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";
import type { Identity } from "./identity.ts";

/** The fields that are kept of a document under this name. */
const OtherAgent = State.pick({
  version: true,
  instance: true,
  started_at: true,
  sequence: true,
  status: true,
  host: true,
});
type OtherAgent = z.infer<typeof OtherAgent>;

/** The document of a live agent changes every 5 s: two of its periods and some slack. */
const WATCH_MS = 12_000;
const LOOK_EVERY_MS = 1000;
const UNIQUE = "Names must be unique: give one of the agents another --name";

export interface NameWaitDeps {
  readonly identity: Identity;
  readonly transport: Pick<Transport, "readState" | "now">;
  readonly condition: { nameConflict: string | null };
  readonly statusLine: { show(): void };
  /** A service that waits for its name is started, and alive. */
  readonly service: { ready(): void; alive(): void };
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits at the start until no other agent publishes under this name. It would be pushed aside by a second one. */
export class NameWait {
  readonly #deps: NameWaitDeps;

  constructor(deps: NameWaitDeps) {
    this.#deps = deps;
  }

  /**
   * Returns at once unless another agent's document is fresh; then watches it for 12 s, and once it has changed until it
   * stays the same for 20 s. Nothing is published meanwhile.
   * @throws CourierError when the document cannot be read: call it again
   */
  async untilFree(signal: AbortSignal): Promise<void> {
    const { identity: me, transport, condition, service, clock } = this.#deps;
    const first = await transport.readState(me.agent);
    const isFresh = first !== null && transport.now() - first.publishedAtMs < LIMITS.silentMs;
    let other = isFresh ? stateOfOtherInstance(first, me) : null;
    let stillSinceMs = clock.monotonic();
    while (other && !signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      const now = stateOfOtherInstance(await transport.readState(me.agent), me);
      if (now === null) break;
      // A document that cannot be read, or is gone, shows nothing new: anybody can write one.
      if (now !== undefined && isAnother(now, other)) {
        this.#foundConflict(now.host);
        stillSinceMs = clock.monotonic();
      }
      other = now ?? other;
      service.alive();
      if (clock.monotonic() - stillSinceMs >= (condition.nameConflict === null ? WATCH_MS : LIMITS.silentMs)) break;
    }
    if (!signal.aborted) this.#resolved();
  }

  #foundConflict(otherHost: string): void {
    const { identity: me, condition, statusLine, service, log } = this.#deps;
    const isNew = condition.nameConflict === null;
    condition.nameConflict = describeConflict(me, otherHost);
    statusLine.show();
    if (!isNew) return;
    service.ready();
    log.error({ other_host: otherHost, host: me.host, hint: UNIQUE }, condition.nameConflict);
  }

  #resolved(): void {
    const { condition, statusLine, log } = this.#deps;
    if (condition.nameConflict === null) return;
    condition.nameConflict = null;
    statusLine.show();
    log.info({}, "Name conflict resolved");
  }
}

/** Notices another agent that publishes under this name while this one runs. */
export class NameGuard {
  readonly #clock: Clock;
  readonly #others: Sightings<OtherAgent>;

  constructor(transport: Pick<Transport, "now">, clock: Clock, me: Identity) {
    this.#clock = clock;
    const parse = (_: string, text: string): OtherAgent | undefined => stateOfOther(text, me);
    this.#others = new Sightings({ transport, clock, silentMs: LIMITS.silentMs, parse });
  }

  /**
   * Judges the document that is published under this name.
   * @returns the host of another agent that has published under it in the last 20 s; else null
   */
  otherHost(record: StateRecord | null): string | null {
    if (record !== null) this.#others.see(record, this.#clock.monotonic());
    return this.#others.live()[0]?.document.host ?? null;
  }
}

/** Undefined for the agent's own document. A copy of its state directory has its instance, but another start. */
function stateOfOther(text: string, me: Identity): OtherAgent | undefined {
  const state = liveState(text);
  return state?.instance === me.instance && state.started_at === me.startedAt ? undefined : state;
}

/** Null when nobody else has the name: it stopped, or is an earlier start of this agent. Undefined: that cannot be seen. */
function stateOfOtherInstance(record: StateRecord | null, me: Identity): OtherAgent | null | undefined {
  if (record === null || !("text" in record.content)) return undefined;
  const state = OtherAgent.safeParse(parseJson(record.content.text)).data;
  return state?.status === "stopped" || state?.instance === me.instance ? null : state;
}

function liveState(text: string): OtherAgent | undefined {
  const state = OtherAgent.safeParse(parseJson(text)).data;
  return state?.status === "stopped" ? undefined : state;
}

/** The name is an address, so that it has to be unique. */
export function describeConflict(me: Identity, otherHost: string): string {
  const where = otherHost === me.host ? "this machine too" : `${otherHost}, this one on ${me.host}`;
  return `Another agent is called "${me.agent}": it runs on ${where}`;
}

function isAnother(now: OtherAgent, before: OtherAgent): boolean {
  return now.sequence !== before.sequence || now.started_at !== before.started_at;
}
