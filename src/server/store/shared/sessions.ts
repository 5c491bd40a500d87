// The sessions and sign-in codes that servers share: begun and ended on NATS, and looked up in the copy.
import { z } from "zod";
import type { Clock } from "../../../base/clock.ts";
import { SESSION_BOUNDS, type SessionStore, type StoredSession, type StoredSessions } from "../sessions.ts";
import type { RecordKind, Records } from "./records.ts";

/** The kinds of their records, which expire with them. */
export const SESSION = "session";
export const SIGN_IN_CODE = "sign_in_code";

const MAX_SEALED_CHARACTERS = 64_000;
const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/);
/** As they are on NATS. Their ids are hashes of their secrets, and a sealed token opens with the secret only. */
const Session = z.object({
  owner: z.string().max(1_000),
  token_hash: hex.max(64).nullable(),
  sealed_token: hex.max(MAX_SEALED_CHARACTERS).nullable(),
  expires_at_ms: z.int(),
});
const Code = z.object({ token_hash: hex.max(64), expires_at_ms: z.int() });

export class SharedSessions implements SessionStore {
  readonly #records: Pick<Records, "add" | "remove">;
  readonly #copy: StoredSessions;

  constructor(records: Pick<Records, "add" | "remove">, copy: StoredSessions) {
    this.#records = records;
    this.#copy = copy;
  }

  /** As `StoredSessions.add()`. @throws CourierError `unavailable` while NATS is away, as all that changes something here */
  async add(session: StoredSession, nowMs: number, bounds = SESSION_BOUNDS): Promise<boolean> {
    if (this.#copy.count() >= bounds.inAll) return false;
    const { hash, owner, token_hash, sealed_token, expires_at_ms } = session;
    const tokens = { token_hash: token_hash?.toHex() ?? null, sealed_token: sealed_token?.toHex() ?? null };
    const record = { owner, ...tokens, expires_at_ms } satisfies z.infer<typeof Session>;
    return await this.#records.add(SESSION, hash.toHex(), record, expires_at_ms - nowMs);
  }

  find(hash: Uint8Array, nowMs: number): StoredSession | undefined {
    return this.#copy.find(hash, nowMs);
  }

  /** It has ended at this server in any case. */
  async remove(hash: Uint8Array): Promise<void> {
    this.#copy.forget(hash);
    await this.#records.remove(SESSION, hash.toHex());
  }

  forget(hash: Uint8Array): void {
    this.#copy.forget(hash);
  }

  async addCode(
    hash: Uint8Array,
    tokenHash: Uint8Array,
    { nowMs, expiresAtMs }: { readonly nowMs: number; readonly expiresAtMs: number },
  ): Promise<void> {
    const record = { token_hash: tokenHash.toHex(), expires_at_ms: Math.round(expiresAtMs) };
    await this.#records.add(SIGN_IN_CODE, hash.toHex(), record satisfies z.infer<typeof Code>, expiresAtMs - nowMs);
  }

  findCode(hash: Uint8Array, nowMs: number): Uint8Array | undefined {
    return this.#copy.findCode(hash, nowMs);
  }

  /** One of all servers that try gets it. */
  async takeCode(hash: Uint8Array, nowMs: number): Promise<Uint8Array | undefined> {
    const tokenHash = this.#copy.findCode(hash, nowMs);
    const isTaken = tokenHash !== undefined && (await this.#records.remove(SIGN_IN_CODE, hash.toHex()));
    return isTaken ? tokenHash : undefined;
  }
}

/** The copy's places for them. */
export function sessionRecords(copy: StoredSessions, clock: Pick<Clock, "now">): Readonly<Record<string, RecordKind>> {
  const hashOf = (id: string): Uint8Array => Uint8Array.fromHex(hex.parse(id));
  return {
    [SESSION]: {
      put: (id, value) => {
        const { token_hash, sealed_token, ...rest } = Session.parse(value);
        const bytes = (text: string | null): Uint8Array | null => (text === null ? null : Uint8Array.fromHex(text));
        const hash = hashOf(id);
        copy.forget(hash);
        const session = { hash, ...rest, token_hash: bytes(token_hash), sealed_token: bytes(sealed_token) };
        copy.add(session, Math.round(clock.now()), SESSION_BOUNDS);
      },
      remove: (id) => copy.forget(hashOf(id)),
    },
    [SIGN_IN_CODE]: {
      put: (id, value) => {
        const { token_hash, expires_at_ms: expiresAtMs } = Code.parse(value);
        const hash = hashOf(id);
        copy.takeCode(hash, 0);
        copy.addCode(hash, Uint8Array.fromHex(token_hash), { nowMs: Math.round(clock.now()), expiresAtMs });
      },
      remove: (id) => void copy.takeCode(hashOf(id), 0),
    },
  };
}
