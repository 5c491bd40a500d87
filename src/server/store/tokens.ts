// Bearer tokens: created here, stored as hashes, compared in constant time.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import { type Clock, isoTime } from "../../base/clock.ts";
import { AgentName, Verb } from "../../protocol.ts";
import { AddedTokens, accountsIn, accountsOf, type Creator, type TokenAccounts } from "./added_tokens.ts";
import { hashOfToken, nameTaken, newToken, unknownToken } from "./new_token.ts";

/** `gp` may do everything; `viewer` may read under /v1; `mirror` is for boxes, which may read the mirror's models and nothing else. */
export const Role = z.enum(["gp", "viewer", "mirror"]);
export type Role = z.infer<typeof Role>;

/** What a token does not permit although its role does. A null is no limit. */
export interface TokenLimits {
  readonly expiresAtMs: number | null;
  /** The only agents that it sees. */
  readonly agents: readonly AgentName[] | null;
  readonly verbs: readonly Verb[] | null;
}

export interface TokenEntry extends TokenLimits {
  readonly name: string;
  readonly role: Role;
  readonly created_at: string;
  readonly accounts: TokenAccounts;
}

interface Row {
  readonly name: string;
  readonly role: Role;
  readonly hash: Uint8Array;
  readonly created_at: string;
  readonly expires_at_ms: number | null;
  readonly agents: string | null;
  readonly verbs: string | null;
  readonly limits_account: string | null;
  readonly audit_account: string | null;
}

/**
 * Tokens with limits. A table of its own, because releases before it read only `tokens`: after a rollback they refuse these
 * tokens. As rows of `tokens` they would have no limits there.
 */
const LIMITED_TOKENS = `CREATE TABLE IF NOT EXISTS limited_tokens (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, created_at TEXT NOT NULL,
  expires_at_ms INTEGER, agents TEXT, verbs TEXT
) STRICT`;
/** In a table of their own, as above: earlier releases take a role that they do not know for a viewer. */
const MIRROR_TOKENS = LIMITED_TOKENS.replace("limited_tokens", "mirror_tokens");
const TABLES = ["tokens", "limited_tokens", "mirror_tokens"] as const;
/** @param which a condition, or nothing for all */
function rowsWhere(which: string): string {
  return `SELECT name, role, hash, created_at, NULL AS expires_at_ms, NULL AS agents, NULL AS verbs, ${accountsIn("tokens")}
      FROM tokens ${which}
    UNION ALL SELECT name, role, hash, created_at, expires_at_ms, agents, verbs, ${accountsIn("limited_tokens")}
      FROM limited_tokens ${which}
    UNION ALL SELECT name, role, hash, created_at, expires_at_ms, agents, verbs, ${accountsIn("mirror_tokens")}
      FROM mirror_tokens ${which}`;
}

const ROWS = `${rowsWhere("")} ORDER BY name`;
const ROW_OF_HASH = rowsWhere("WHERE hash = ?1");
const NO_LIMITS: TokenLimits = { expiresAtMs: null, agents: null, verbs: null };
const Agents = z.array(AgentName).nonempty();
const Verbs = z.array(Verb).nonempty();

/** A token as a store keeps it, without the token itself. */
export interface TokenRecord extends TokenLimits {
  readonly name: string;
  readonly role: Role;
  readonly hash: Uint8Array;
  readonly created_at: string;
  /** Whom it is charged to, as `AddedTokens` has it; null: somebody on a server's machine added it. */
  readonly charged: ReturnType<AddedTokens["charge"]> | null;
}

/** What the server uses of its tokens, wherever they are. */
export type TokenStore = Pick<Tokens, "list" | "find" | "findHash" | "hashNamed"> & {
  add(...args: Parameters<Tokens["add"]>): string | Promise<string>;
  revoke(name: string): void | Promise<void>;
};

/** A change by one process is seen by every other at its next call. */
export class Tokens {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #added: AddedTokens;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    database.run(LIMITED_TOKENS);
    database.run(MIRROR_TOKENS);
    this.#added = new AddedTokens(database);
  }

  /**
   * Adds a token.
   * @param creator null: somebody on this machine
   * @returns the token itself, which is not stored
   * @throws CourierError `invalid` for an invalid name; `conflict` when a token has this name, or its creator added too many
   */
  add(name: string, role: Role, limits: TokenLimits = NO_LIMITS, creator: Creator | null = null): string {
    const { token, hash } = newToken(name);
    const add = this.#database.transaction(() => {
      const isNew = this.isNew(name);
      const charged = isNew && creator !== null ? this.#added.charge(creator) : null;
      if (isNew) this.put({ name, role, hash, ...limits, created_at: isoTime(this.#clock.now()), charged });
      return isNew;
    });
    if (add.immediate()) return token;
    throw nameTaken(name);
  }

  isNew(name: string): boolean {
    return !this.#rows().some((row) => row.name === name);
  }

  /** @throws CourierError `conflict` when the creator added too many */
  charge(creator: Creator): ReturnType<AddedTokens["charge"]> {
    return this.#added.charge(creator);
  }

  /** Puts a token in the place of the one with its name, if there is one. */
  put({ name, role, hash, created_at, expiresAtMs, agents, verbs, charged }: TokenRecord): void {
    this.remove(name);
    const isLimited = expiresAtMs !== null || agents !== null || verbs !== null;
    if (role !== "mirror" && !isLimited)
      this.#database
        .query("INSERT INTO tokens (name, role, hash, created_at) VALUES (?, ?, ?, ?)")
        .run(name, role, hash, created_at);
    else
      this.#database
        .query(`INSERT INTO ${role === "mirror" ? "mirror_tokens" : "limited_tokens"} VALUES (?, ?, ?, ?, ?, ?, ?)`)
        .run(name, role, hash, created_at, expiresAtMs, textOf(agents), textOf(verbs));
    if (charged !== null) this.#added.put(hash, charged);
  }

  list(): readonly TokenEntry[] {
    return this.#rows().map(entryOf);
  }

  /** As a store keeps them. */
  records(): readonly TokenRecord[] {
    return this.#rows().map((row) => {
      const { limits_account: limits, audit_account: audit, hash } = row;
      return { ...entryOf(row), hash, charged: audit === null ? null : { limits, audit } };
    });
  }

  /** @throws CourierError `not_found` when no token has this name */
  revoke(name: string): void {
    if (!this.remove(name)) throw unknownToken(name);
  }

  /** @returns false when no token has this name */
  remove(name: string): boolean {
    // After a rollback there may be one in each table.
    const removed = TABLES.map(
      (table) => this.#database.query(`DELETE FROM ${table} WHERE name = ?`).run(name).changes,
    );
    return removed.some((changes) => changes > 0);
  }

  /** The entry of a token, also of one that has expired; undefined when it is invalid. */
  find(token: string): TokenEntry | undefined {
    return this.findHash(hashOfToken(token));
  }

  /** The entry of a token by its hash, also of one that has expired; undefined: it was revoked. */
  findHash(hash: Uint8Array): TokenEntry | undefined {
    // The time of the index may reveal how a hash begins. That leads to no token: each has 256 random bits.
    const found = this.#database.query<Row, [Uint8Array]>(ROW_OF_HASH).get(hash);
    return found === null ? undefined : entryOf(found);
  }

  /** @throws CourierError `not_found` when no token has this name */
  hashNamed(name: string): Uint8Array {
    const found = this.#rows().find((row) => row.name === name);
    if (found !== undefined) return found.hash;
    throw unknownToken(name);
  }

  #rows(): readonly Row[] {
    return this.#database.query<Row, []>(ROWS).all();
  }
}

/** A limit that cannot be read is no missing limit: it throws. */
function entryOf({ name, role, created_at, expires_at_ms: expiresAtMs, agents, verbs, ...row }: Row): TokenEntry {
  const limits = {
    agents: agents === null ? null : Agents.parse(JSON.parse(agents)),
    verbs: verbs === null ? null : Verbs.parse(JSON.parse(verbs)),
  };
  return { name, role, created_at, expiresAtMs, ...limits, accounts: accountsOf(row) };
}

function textOf(words: readonly string[] | null): string | null {
  return words && JSON.stringify(words);
}
