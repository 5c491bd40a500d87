// Waits for the agent's name, at the start and after an interruption, while another agent publishes under it.
import type { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import { parseJson } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { signOfLifeMs } from "../../base/sightings.ts";
import { LIMITS, State } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";
import { rawKey, type SigningKey } from "../../trust/keys.ts";
import type { Identity } from "./identity.ts";
import { isOld, signerOf } from "./signer.ts";

/** The fields that are kept of a document under this name. */
export const OtherAgent = State.pick({
  version: true,
  instance: true,
  started_at: true,
  sequence: true,
  status: true,
  host: true,
  key: true,
  boot: true,
  published_at_ms: true,
});
export type OtherAgent = z.infer<typeof OtherAgent>;

/** The document of a live agent changes every 5 s: two of its periods and some slack. */
const WATCH_MS = 12_000;
const LOOK_EVERY_MS = 1000;
const UNIQUE = "Names must be unique: give one of the agents another --name";

export interface NameWaitDeps {
  readonly identity: Identity;
  readonly key: SigningKey | null;
  readonly transport: Pick<Transport, "readState" | "now">;
  readonly condition: { nameConflict: string | null };
  readonly statusLine: { show(): void };
  /** A service that waits for its name is started, and alive. */
  readonly service: { ready(): void; alive(): void };
  readonly clock: Clock;
  readonly log: Log;
}

/** It would be pushed aside by a second agent with its name, and push that one aside. */
export class NameWait {
  readonly #deps: NameWaitDeps;

  constructor(deps: NameWaitDeps) {
    this.#deps = deps;
  }

  /**
   * The document of another agent, by its instance or its key, if it was published in the last 20 s; else null.
   * @throws CourierError when the document cannot be read: call it again
   */
  async freshOther(): Promise<OtherAgent | null> {
    const { identity: me, transport } = this.#deps;
    const record = await transport.readState(me.agent);
    const isFresh = record !== null && transport.now() - signOfLifeMs(record) < LIMITS.silentMs;
    return isFresh ? (this.#other(record) ?? null) : null;
  }

  /**
   * As `freshOther()`, of documents that a key signed in the last 20 s only: anybody can write the others.
   * @throws CourierError as `freshOther()`
   */
  async freshSigned(mine: SigningKey): Promise<OtherAgent | null> {
    const { identity: me, transport } = this.#deps;
    const record = await transport.readState(me.agent);
    const other = this.#other(record);
    if (record === null || !("text" in record.content) || !other) return null;
    return isOld(other, transport.now()) || signerOf(record.content.text, other, mine) === "nobody" ? null : other;
  }

  /**
   * Returns at once unless another agent's document is fresh; then watches it for 12 s, and once it has changed until it
   * stays the same for 20 s. Publish nothing meanwhile.
   * @throws CourierError as `freshOther()`
   */
  async untilFree(signal: AbortSignal): Promise<void> {
    const { identity: me, transport, condition, service, clock } = this.#deps;
    let other = await this.freshOther();
    let stillSinceMs = clock.monotonic();
    while (other && !signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      const now = this.#other(await transport.readState(me.agent));
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

  /** Null when nobody else has the name: it stopped, or is an earlier start of this agent. Undefined: that cannot be seen. */
  #other(record: StateRecord | null): OtherAgent | null | undefined {
    if (record === null || !("text" in record.content)) return undefined;
    const { identity: me, key } = this.#deps;
    const state = OtherAgent.safeParse(parseJson(record.content.text)).data;
    const hasMyKey = state?.key === undefined || key === null || state.key === rawKey(key);
    return state?.status === "stopped" || (state?.instance === me.instance && hasMyKey) ? null : state;
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

/** The name is an address, so that it has to be unique. */
export function describeConflict(me: Identity, otherHost: string): string {
  const where = otherHost === me.host ? "this machine too" : `${otherHost}, this one on ${me.host}`;
  return `Another agent is called "${me.agent}": it runs on ${where}`;
}

function isAnother(now: OtherAgent, before: OtherAgent): boolean {
  return now.sequence !== before.sequence || now.started_at !== before.started_at;
}
