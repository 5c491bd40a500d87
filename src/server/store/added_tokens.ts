// The tokens that others added over HTTP: where they count, and how many there may be.
import type { Database } from "bun:sqlite";
import { CourierError } from "../../base/errors.ts";

/** Where a token counts: not under its name, which another token may have after it. */
export interface TokenAccounts {
  /** Its requests, listeners and tickets: its own account, or that of the token that added it, with the limits of that one. */
  readonly limits: string;
  /** Its entries of the audit, and how many tokens there are: the account of the first in the line of those that added it. */
  readonly audit: string;
}

/** The token that adds another one over HTTP. */
export interface Creator {
  readonly name: string;
  readonly accounts: TokenAccounts;
  /** Whether it has limits that the new token must not multiply. */
  readonly isHeldToLimits: boolean;
}

/** The accounts of an added token that are not its own. */
interface Charged {
  /** Null: its own. */
  readonly limits: string | null;
  readonly audit: string;
}

/** Of one account: what a token with a narrow scope can make many of, everybody has to live with. */
export const MOST_ADDED_TOKENS = 100;

/** To the release before they are tokens like any other. */
const TABLE = `CREATE TABLE IF NOT EXISTS added_tokens (
  hash BLOB PRIMARY KEY, limits_account TEXT, audit_account TEXT NOT NULL
) STRICT`;
const FORGET_REVOKED =
  "DELETE FROM added_tokens WHERE hash NOT IN (SELECT hash FROM tokens UNION ALL SELECT hash FROM limited_tokens UNION ALL SELECT hash FROM mirror_tokens)";
/** Of the hash. */
const ACCOUNT_BYTES = 8;

export class AddedTokens {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.run(TABLE);
  }

  /**
   * Whom a new token is charged to.
   * @throws CourierError `conflict` when too many come from there
   */
  charge({ name, accounts, isHeldToLimits }: Creator): Charged {
    this.#database.run(FORGET_REVOKED);
    const { count = 0 } =
      this.#database
        .query<{ count: number }, [string]>("SELECT COUNT(*) AS count FROM added_tokens WHERE audit_account = ?")
        .get(accounts.audit) ?? {};
    if (count >= MOST_ADDED_TOKENS)
      throw new CourierError("conflict", `Token "${name}" may add no more: ${count} come from it or from its creator`, {
        hint: "Revoke those that nobody needs: DELETE /v1/tokens/{name}, or gpu-server token revoke NAME",
      });
    return { limits: isHeldToLimits ? accounts.limits : null, audit: accounts.audit };
  }

  put(hash: Uint8Array, { limits, audit }: Charged): void {
    this.#database.query("INSERT OR REPLACE INTO added_tokens VALUES (?, ?, ?)").run(hash, limits, audit);
  }
}

/**
 * The columns for `accountsOf()`. A join would take 20 µs more for each request, these take 0.6.
 * @param table whose rows they are of
 */
export function accountsIn(table: string): string {
  const column = (name: string): string =>
    `(SELECT ${name} FROM added_tokens a WHERE a.hash = ${table}.hash) AS ${name}`;
  return `${column("limits_account")}, ${column("audit_account")}`;
}

interface Row {
  readonly hash: Uint8Array;
  readonly limits_account: string | null;
  readonly audit_account: string | null;
}

export function accountsOf({ hash, limits_account, audit_account }: Row): TokenAccounts {
  const own = hash.subarray(0, ACCOUNT_BYTES).toHex();
  return { limits: limits_account ?? own, audit: audit_account ?? own };
}
