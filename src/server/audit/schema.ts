// The tables of the audit and their indexes.
import type { Database } from "bun:sqlite";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, is_refused INTEGER NOT NULL,
    request TEXT, request_id TEXT, who TEXT, way TEXT, peer TEXT, verb TEXT, agent TEXT, model TEXT, details TEXT,
    outcome TEXT, job TEXT, key TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS audit_age ON audit (is_refused, at_ms);
  CREATE INDEX IF NOT EXISTS audit_order ON audit (is_refused, number);
  CREATE INDEX IF NOT EXISTS audit_job ON audit (job) WHERE job IS NOT NULL;
  CREATE TABLE IF NOT EXISTS audit_dropped (
    is_refused INTEGER PRIMARY KEY, entries INTEGER NOT NULL, until_ms INTEGER NOT NULL
  ) STRICT;`;

/** Whose share an entry uses, among the senders of one way. */
export const SENDER_ACCOUNT = "COALESCE(account, who)";
/** The index of the release before, which makes it again, is of no use here. */
const INDEX = `
  DROP INDEX IF EXISTS audit_sender;
  CREATE INDEX IF NOT EXISTS audit_account ON audit (is_refused, way, ${SENDER_ACCOUNT}, number);`;

/** The release before ignores the column: it names those that it writes. */
export function openTables(database: Database): void {
  database.run(SCHEMA);
  if (!hasAccounts(database)) database.transaction(() => addAccounts(database)).immediate();
  database.run(INDEX);
}

/** Another process may have been first. */
function addAccounts(database: Database): void {
  if (!hasAccounts(database)) database.run("ALTER TABLE audit ADD COLUMN account TEXT");
}

function hasAccounts(database: Database): boolean {
  return database.query("SELECT 1 FROM pragma_table_info('audit') WHERE name = 'account'").get() !== null;
}
