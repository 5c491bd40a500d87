// Bearer tokens: created here, stored as hashes, compared in constant time.
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
/** Lets people and secret scanners recognize a token. */
const PREFIX = "gpuc_";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/;

/** A change by one process is seen by every other at its next call. */
export class Tokens {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Adds a token.
   * @returns the token itself, which is not stored
   * @throws CourierError `invalid` for an invalid name; `conflict` when a token has this name
   */
  add(name: string, role: Role): string {
    if (!NAME.test(name))
      throw new CourierError("invalid", `Cannot name a token ${JSON.stringify(name.slice(0, 80))}`, {
        hint: "Use 1 to 64 characters from A-Z, a-z, 0-9 and _ . @ -, not beginning with _ . @ or -",
      });
    const token = `${PREFIX}${randomBytes(TOKEN_BYTES).toString("base64url")}`;
    const added = this.#database
      .query("INSERT OR IGNORE INTO tokens (name, role, hash, created_at) VALUES (?, ?, ?, ?)")
      .run(name, role, hash(token), isoTime(this.#clock.now()));
    if (added.changes === 1) return token;
    throw new CourierError("conflict", `A token named "${name}" already exists`, {
      hint: `Choose another name, or revoke it first: gpu-server token revoke ${name}`,
    });
  }

  list(): readonly TokenEntry[] {
    return this.#rows().map(({ name, role, created_at }) => ({ name, role, created_at }));
  }

  /** @throws CourierError `not_found` when no token has this name */
  revoke(name: string): void {
    const { changes } = this.#database.query("DELETE FROM tokens WHERE name = ?").run(name);
    if (changes === 0)
      throw new CourierError("not_found", `No token is named "${name}"`, { hint: "See: gpu-server token list" });
  }

  /** The entry of a token; undefined when it is invalid. */
  find(token: string): TokenEntry | undefined {
    const wanted = hash(token);
    let found: TokenEntry | undefined;
    // Every row is compared, so that the time does not reveal which one matches.
    for (const row of this.#rows()) if (timingSafeEqual(row.hash, wanted)) found = row;
    return found;
  }

  #rows(): readonly Row[] {
    return this.#database.query<Row, []>("SELECT name, role, hash, created_at FROM tokens ORDER BY name").all();
  }
}

/** Plain SHA-256 is enough: a token holds 256 random bits, so guessing is hopeless. */
function hash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
