// Whether a ledger can be used, found out without changing it. Imports the form of a check; bun:sqlite.
import { Database } from "bun:sqlite";
import { about, type Check } from "../../base/check.ts";

const RESTART = "Look at the models of this box, then restart the agent: that begins a new ledger";

/** Reads it through. @param path of the ledger's file, which is there */
export function checkLedger(path: string): Check {
  const check = about("ledger");
  try {
    using db = new Database(path, { readonly: true });
    const found = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
    if (found === "ok") return check.ok(`${path} is whole, and no agent uses it just now`);
    return check.failed(`${path} is corrupt: ${found}`, RESTART);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("SQLITE_BUSY")) return check.ok(`${path} is in use by an agent that runs`);
    const isCorrupt = /^SQLITE_(?:CORRUPT|NOTADB)/.test(code);
    if (isCorrupt) return check.failed(`${path} is corrupt: ${code}`, RESTART);
    return check.failed(`${path} cannot be read: ${code || String(error)}`, "Run doctor as the agent's user");
  }
}

/** The ledger that is there no more: set aside by an agent that found it corrupt. @param aside its name now */
export function checkLedgerSetAside(aside: string): Check {
  return about("ledger").failed(`It was corrupt and is set aside as ${aside}: only reading verbs are served`, RESTART);
}
