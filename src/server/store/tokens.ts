// Bearer tokens: made here, kept as hashes, compared in constant time. Imports node:crypto, zod, the clock and errors.
import type { Database } from "bun:sqlite";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { type Clock, isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";

/** `gp` may do everything; `viewer` may read under /v1. */
export const Role = z.enum(["gp", "viewer"]);
export type Role = z.infer<typeof Role>;

export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  readonly created_at: string;
}

interface Row extends TokenEntry {
  readonly hash: Uint8Array;
}

const TOKEN_BYTES = 32;
/** So that people and scanners of leaked secrets can tell what it is. */
const PREFIX = "gpuc_";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/;

/** What one process writes, every other sees at its next call. */
export class Tokens {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Makes a token.
   * @returns the token itself, which is kept nowhere
   * @throws CourierError `invalid` for a name outside the grammar; `conflict` when there is one of this name
   */
  add(name: string, role: Role): string {
    if (!NAME.test(name))
      throw new CourierError("invalid", `Cannot name a token ${JSON.stringify(name.slice(0, 80))}`, {
        hint: "Use 1 to 64 of A-Z, a-z, 0-9 and _ . @ -, beginning with a letter or digit",
      });
    const token = `${PREFIX}${randomBytes(TOKEN_BYTES).toString("base64url")}`;
    const added = this.#database
      .query("INSERT OR IGNORE INTO tokens (name, role, hash, created_at) VALUES (?, ?, ?, ?)")
      .run(name, role, hash(token), isoTime(this.#clock.now()));
    if (added.changes === 1) return token;
    throw new CourierError("conflict", `There is a token named "${name}" already`, {
      hint: `Choose another name, or first: gpu-server token revoke ${name}`,
    });
  }

  list(): readonly TokenEntry[] {
    return this.#rows().map(({ name, role, created_at }) => ({ name, role, created_at }));
  }

  /** @throws CourierError `not_found` when there is none of this name */
  revoke(name: string): void {
    const { changes } = this.#database.query("DELETE FROM tokens WHERE name = ?").run(name);
    if (changes === 0)
      throw new CourierError("not_found", `There is no token named "${name}"`, { hint: "See: gpu-server token list" });
  }

  /** Whose token this is; undefined: nobody's. */
  find(token: string): TokenEntry | undefined {
    const wanted = hash(token);
    let found: TokenEntry | undefined;
    // Every row is compared, so that the time taken tells nothing about which one fits.
    for (const row of this.#rows()) if (timingSafeEqual(row.hash, wanted)) found = row;
    return found;
  }

  #rows(): readonly Row[] {
    return this.#database.query<Row, []>("SELECT name, role, hash, created_at FROM tokens ORDER BY name").all();
  }
}

/** Plain SHA-256 is enough: a token holds 256 random bits, there is nothing to guess. */
function hash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
