// Judges the documents under the agent's name while it runs: whether a second agent has the name, or somebody forges it.
import type { Clock } from "../../base/clock.ts";
import { parseJson } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { Sightings } from "../../base/sightings.ts";
import { LIMITS } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";
import type { SigningKey } from "../../trust/keys.ts";
import type { Place } from "./boot_counter.ts";
import type { Identity } from "./identity.ts";
import { type NameWait, OtherAgent } from "./name_wait.ts";
import { isOld, signerOf } from "./signer.ts";

export interface NameGuardDeps {
  readonly identity: Identity;
  /** Null: its documents are known by their instance and start alone. */
  readonly key: SigningKey | null;
  /** The place of its last document. */
  readonly document: { readonly after: Place };
  readonly wait: Pick<NameWait, "freshOther" | "freshSigned">;
  readonly condition: { foreignStates: number };
  readonly transport: Pick<Transport, "now">;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly log: Log;
}

/** What the document under the name shows. */
export interface NameVerdict {
  /** The host of another agent that has published under the name in the last 20 s; else null. */
  readonly otherHost: string | null;
  /** A document that stops nothing is in place of the agent's own: publish that again. */
  readonly isForeign: boolean;
}

/**
 * `own`: of this start of the agent. `clone`: another agent has its key. `recording`: its own of before, that somebody kept.
 * `other`: another key signed it now. `forged`: anybody may have written it.
 */
type Kind = "own" | "clone" | "recording" | "other" | "forged";

/**
 * An agent that has published for 20 s without an interruption holds its name: a second agent waits for it, so that a foreign
 * document is nobody's who runs here. Before that, two agents may have started at the same time; in an interruption a second one
 * may have taken the name, and it signs.
 */
export class NameGuard {
  readonly #deps: NameGuardDeps;
  readonly #others: Sightings<OtherAgent>;
  /** When the last publication ended, by both clocks of the machine: one stands still while the machine is suspended. */
  #published: { readonly monotonicMs: number; readonly wallMs: number } | null = null;
  /** Since when it has published without a second agent, on the monotonic clock; after an interruption only with a key. */
  #heldSinceMs: number | null = null;
  #mustWait = false;
  /** Of the last document of its own that it read: one of before that comes after it is a recording. */
  #read: Place = { boot: 0, sequence: 0 };
  /** The last foreign document, and when it was seen. */
  #foreign: { readonly version: string; readonly atMs: number } | null = null;

  constructor(deps: NameGuardDeps) {
    const { transport, clock } = deps;
    this.#deps = deps;
    const parse = (_: string, text: string): OtherAgent | undefined => {
      const state = parseOther(text);
      return state?.status === "stopped" ? undefined : state;
    };
    this.#others = new Sightings({ transport, clock, silentMs: LIMITS.silentMs, parse });
  }

  /** Another agent took the name during an interruption: publish nothing until it is free, then `resume()`. */
  get mustWait(): boolean {
    return this.#mustWait;
  }

  /** Whether a foreign document was seen in the last 20 s: more may follow. */
  get isContested(): boolean {
    return this.#foreign !== null && this.#deps.clock.monotonic() - this.#foreign.atMs < LIMITS.silentMs;
  }

  /**
   * Looks at the name before the first publication after an interruption: another agent may have taken it meanwhile.
   * @throws CourierError when that cannot be seen now
   */
  async mayPublish(): Promise<boolean> {
    if (this.#mustWait) return false;
    if (!this.#isInterrupted) return true;
    const { key, wait } = this.#deps;
    const keepsHold = key !== null && this.#held;
    this.#mustWait = (await (keepsHold ? wait.freshSigned(key) : wait.freshOther())) !== null;
    // Until it has published it looks again each time.
    if (!keepsHold && !this.#mustWait) this.resume();
    return !this.#mustWait;
  }

  /** The agent has just published. */
  published(): void {
    const { clock } = this.#deps;
    this.#published = { monotonicMs: clock.monotonic(), wallMs: clock.now() };
    if (this.#others.live().length === 0) this.#heldSinceMs ??= clock.monotonic();
  }

  /** The name is free: the agent may publish again, and has yet to hold its name. */
  resume(): void {
    this.#mustWait = false;
    this.#published = null;
    this.#heldSinceMs = null;
    this.#others.keepOnly(new Set());
  }

  /** Judges the document that is published under this name. */
  judge(record: StateRecord | null): NameVerdict {
    const kind = record !== null && "text" in record.content ? this.#kindOf(record.content.text) : null;
    const isForeign = kind !== null && this.#isForeign(kind);
    if (record !== null && isForeign) this.#note(record);
    if (record !== null && !isForeign && kind !== "own") this.#others.see(record, this.#deps.clock.monotonic());
    const otherHost = this.#others.live()[0]?.document.host ?? null;
    if (otherHost !== null) this.#heldSinceMs = null;
    return { otherHost, isForeign };
  }

  get #isInterrupted(): boolean {
    if (this.#published === null) return false;
    const { clock } = this.#deps;
    const { monotonicMs, wallMs } = this.#published;
    return Math.max(clock.monotonic() - monotonicMs, clock.now() - wallMs) >= LIMITS.silentMs;
  }

  /** Whether it has held its name, until an interruption that may be there now. */
  get #held(): boolean {
    if (this.#heldSinceMs === null) return false;
    return this.#deps.clock.monotonic() - this.#heldSinceMs >= LIMITS.silentMs;
  }

  #isForeign(kind: Kind): boolean {
    if (kind === "recording") return true;
    if (kind !== "other" && kind !== "forged") return false;
    return this.#held && (!this.#isInterrupted || (kind === "forged" && this.#deps.key !== null));
  }

  /** Null for a text that is no state document. */
  #kindOf(text: string): Kind | null {
    const { identity: me, key, transport } = this.#deps;
    const state = parseOther(text);
    if (state === undefined) return null;
    const isMyInstance = state.instance === me.instance;
    const isMyStart = isMyInstance && state.started_at === me.startedAt;
    if (key === null) return isMyStart ? "own" : isMyInstance ? "clone" : "forged";
    const signer = signerOf(text, state, key);
    if (signer === "nobody") return "forged";
    if (signer === "me" && isMyStart) return this.#isReadBefore(state) ? "recording" : "own";
    if (isOld(state, transport.now())) return signer === "me" ? "recording" : "forged";
    if (signer === "another") return "other";
    return isMyInstance && (state.boot ?? 0) < this.#deps.document.after.boot ? "forged" : "clone";
  }

  /** Whether a document of this start is older than one that was read before. */
  #isReadBefore({ boot = 0, sequence }: OtherAgent): boolean {
    const { boot: lastBoot, sequence: lastSequence } = this.#read;
    if (boot < lastBoot || (boot === lastBoot && sequence < lastSequence)) return true;
    this.#read = { boot, sequence };
    return false;
  }

  /** Counts a foreign document, and logs the first of many. */
  #note({ content, publishedAtMs }: StateRecord): void {
    const { condition, clock, log } = this.#deps;
    const version = `${"text" in content ? Bun.hash(content.text) : ""} ${publishedAtMs}`;
    const hint = "Find out who writes to the share: this agent serves on";
    if (!this.isContested) log.warn({ hint }, "A document under this agent's name is not its own");
    if (version !== this.#foreign?.version) condition.foreignStates += 1;
    this.#foreign = { version, atMs: clock.monotonic() };
  }
}

function parseOther(text: string): OtherAgent | undefined {
  return OtherAgent.safeParse(parseJson(text)).data;
}
