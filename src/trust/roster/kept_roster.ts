// The roster that a program keeps on its own disk: the one with the highest serial that an operator signed.
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, isoTime } from "../../base/clock.ts";
import { asCourierError, CourierError, systemCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { replaceFile } from "../replace_file.ts";
import { findSignature } from "../signature.ts";
import type { TrustedKey } from "../trusted_keys.ts";
import type { TrustedKeysFile } from "../trusted_keys_file.ts";
import { parseRoster } from "./document.ts";
import { isValidAt, type Roster, verifyRoster } from "./roster.ts";

export interface KeptRosterDeps {
  readonly operators: Pick<TrustedKeysFile, "find" | "trouble" | "look">;
  /** Where it is kept. */
  readonly path: string;
  /** This machine's. */
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** Where a program keeps it. @param folder of its own files */
export function rosterPath(folder: string): string {
  return join(folder, "roster.json");
}

const RECENT_MS = 1_000;
const NEXT = "An operator publishes the next one: gpuctl roster --help";

interface Kept {
  readonly text: string;
  readonly signedBy: string;
  /** Null: not verified yet. */
  roster: Roster | null;
  isSaved: boolean;
}

/**
 * Nobody who only writes to the share can make it forget: an older roster, or none, changes nothing. It counts as long as its
 * operator is one, and its senders until it expires; the agents' keys longer, and what it revokes until another one is taken.
 */
export class KeptRoster {
  readonly #deps: KeptRosterDeps;
  #kept: Kept | null;
  /** Of the last one that was kept, also after its operator was removed: a revoked key does not come back. */
  #revoked: ReadonlySet<string>;
  /** For a second: a reader asks twice for each of thousands of documents, and each look at the operators' file is three calls. */
  #recent: { readonly kept: Kept | null; readonly atMs: number; readonly roster: Roster | null } | null = null;

  /** @throws CourierError `forbidden` when the kept one cannot be read */
  constructor(deps: KeptRosterDeps) {
    this.#deps = deps;
    this.#kept = readKept(deps.path);
    this.#revoked = this.#kept === null ? new Set() : this.#revokedBy(this.#kept.text);
  }

  /** The kept one, perhaps expired; null without one that an operator signed who is one now. */
  get roster(): Roster | null {
    const kept = this.#kept;
    if (kept === null || this.#operator(kept.signedBy) === undefined) return null;
    kept.roster ??= this.#verified(kept.text);
    if (kept.roster === null) this.#kept = null;
    return kept.roster;
  }

  /** Why nobody is an operator now; null when somebody is. */
  get operatorTrouble(): CourierError | null {
    const { operators } = this.#deps;
    operators.look();
    return operators.trouble;
  }

  /** Why no sender is trusted by it now; null when it is valid. */
  get trouble(): CourierError | null {
    const { operatorTrouble, roster } = this;
    if (operatorTrouble !== null) return operatorTrouble;
    if (roster === null) return unavailable("No roster by an operator has been read here");
    if (isValidAt(roster, this.#deps.clock.now())) return null;
    return unavailable(`The roster ${roster.serial} ${validity(roster)}`);
  }

  /** How long the kept one is still valid; 0 without one. */
  get endsInMs(): number {
    return Math.max(0, (this.roster?.expires_at_ms ?? 0) - this.#deps.clock.now());
  }

  /** A sender that a valid roster names and does not revoke. */
  sender(id: string): TrustedKey | undefined {
    const { roster } = this;
    if (roster === null || roster.revokedKeys.has(id) || !isValidAt(roster, this.#deps.clock.now())) return undefined;
    return roster.senderKeys.get(id);
  }

  isRevoked(id: string): boolean {
    return this.#revoked.has(id);
  }

  /** The key that this agent must have, in base64; undefined when the roster does not say. */
  expectedKey(agent: string): string | undefined {
    return this.#recentRoster()?.agentKeys.get(agent);
  }

  /**
   * Takes a roster over if it is newer than the kept one; as the first one only if it is valid now. It counts at once; `save()`
   * keeps it.
   * @throws CourierError `unauthenticated` and `invalid` as `verifyRoster()`, `invalid` for a first one that is not valid now;
   *   `conflict` when it is older, or another one of the same serial
   */
  offer(published: string): void {
    const text = published.trimEnd();
    const current = this.roster;
    if (current !== null && text === this.#kept?.text) return;
    const roster = this.verify(text);
    // Somebody may have kept it: without one of its own, a program cannot know whether a newer one has replaced it.
    if (current === null && !isValidAt(roster, this.#deps.clock.now())) throw notValid(roster);
    if (current !== null && roster.serial <= current.serial) throw notNewer(roster, current);
    this.#kept = { text, signedBy: roster.signedBy, roster, isSaved: false };
    this.#revoked = roster.revokedKeys;
  }

  /** @throws CourierError `exhausted` or `forbidden`: after a restart the one before would count again */
  save(): void {
    const kept = this.#kept;
    if (kept === null || kept.isSaved) return;
    this.#takeOver(readKept(this.#deps.path));
    if (this.#kept !== kept) return;
    save(this.#deps.path, kept.text);
    kept.isSaved = true;
  }

  /** @throws CourierError as `verifyRoster()` */
  verify(text: string): Roster {
    return verifyRoster(text, (id) => this.#operator(id));
  }

  /** As `roster`; that an operator's line was removed shows within a second. */
  #recentRoster(): Roster | null {
    const atMs = this.#deps.clock.now();
    const recent = this.#recent;
    if (recent !== null && recent.kept === this.#kept && Math.abs(atMs - recent.atMs) < RECENT_MS) return recent.roster;
    const { roster } = this;
    this.#recent = { kept: this.#kept, atMs, roster };
    return roster;
  }

  /** Another program on the same file, such as a second gpuctl, may have seen a newer one meanwhile. */
  #takeOver(other: Kept | null): void {
    const kept = this.roster;
    if (other === null || kept === null || this.#operator(other.signedBy) === undefined) return;
    other.roster = this.#verified(other.text);
    if (other.roster === null || other.roster.serial <= kept.serial) return;
    this.#kept = other;
    this.#revoked = other.roster.revokedKeys;
  }

  #operator(id: string): TrustedKey | undefined {
    const { operators, clock } = this.#deps;
    const key = operators.find(id);
    return key === undefined || (key.endsAtMs !== null && clock.now() >= key.endsAtMs) ? undefined : key;
  }

  #verified(text: string): Roster | null {
    try {
      return this.verify(text);
    } catch (error) {
      this.#damaged(error);
      return null;
    }
  }

  /** Without its signature, which was verified before this program kept it: the operator's key may be gone. */
  #revokedBy(text: string): ReadonlySet<string> {
    try {
      return new Set(parseRoster(findSignature(text)?.signed ?? "").revoked);
    } catch (error) {
      this.#damaged(error);
      return new Set();
    }
  }

  #damaged(error: unknown): void {
    const reason = asCourierError(error).message;
    this.#deps.log.error({ file: this.#deps.path, reason }, "The kept roster is damaged");
  }
}

function readKept(path: string): Kept | null {
  try {
    const text = readFileSync(path, "utf8");
    const signature = findSignature(text);
    return signature === null ? null : { text, signedBy: signature.keyId, roster: null, isSaved: true };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw failure("read", path, error);
  }
}

/** Durable: otherwise an older one would be accepted after a power cut. */
function save(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    replaceFile(path, text, `${path}.${process.pid}.new`);
  } catch (error) {
    throw failure("keep", path, error);
  }
}

function validity({ issued_at_ms, expires_at_ms }: Roster): string {
  return `is valid from ${isoTime(issued_at_ms)} to ${isoTime(expires_at_ms)} only`;
}

function notValid(roster: Roster): CourierError {
  return new CourierError("invalid", `it ${validity(roster)}`, { hint: `Check this machine's clock. ${NEXT}` });
}

function unavailable(message: string): CourierError {
  return new CourierError("unavailable", message, { hint: NEXT });
}

function notNewer({ serial }: Roster, kept: Roster): CourierError {
  const how =
    serial === kept.serial ? "another one has the same serial" : `the one with serial ${kept.serial} is newer`;
  return new CourierError("conflict", `its serial is ${serial}, and ${how}`);
}

function failure(action: "read" | "keep", path: string, cause: unknown): CourierError {
  const code = systemCode(cause);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new CourierError(
    isFull ? "exhausted" : "forbidden",
    `Cannot ${action} the roster in ${path}: ${code ?? String(cause)}`,
    { hint: isFull ? "Free space on its disk" : "Let this user read and write that file", cause },
  );
}
